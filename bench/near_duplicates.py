"""Near-duplicate notes: `datasketch` (MinHash + MinHashLSH) beside this project, in alternating runs.

    python bench/near_duplicates.py [--notes 40000] [--runs 5] [--work DIR] [--out FILE.json]

Needs datasketch, xxhash and pyarrow, and `cargo build --release -p asclepius-dataset --examples`. The notes are those
of sample_notes.py; one in ten is an edited copy of an earlier one. Both
sides do the same: words in lower case, sequences of five, 128 permutations, the same bands, and a note goes when an earlier
one that stays is more alike than the threshold. Both clocks start with the texts in memory and stop at the list of
notes that go. This project also counts the true similarity of every candidate; the other side gets to trust its bands, and
a hash function faster than its own. It has one thread; ours runs with one and with two.
"""

import argparse
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import sample_notes

ROOT = Path(__file__).resolve().parent.parent
THRESHOLD = 0.8
WORDS = 5


def draw_notes(path, count):
    """Every tenth note is an edited copy of an earlier one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw, known = random.Random(20240101), sample_notes.sentences()
    rows = []
    for number in range(count):
        if number % 10 == 9:
            words = rows[draw.randrange(len(rows))].split(" ")
            for _ in range(draw.randint(0, 8)):
                words[draw.randrange(len(words))] = f"edit{number}"
            rows.append(" ".join(words))
        else:
            rows.append(sample_notes.draw_note(draw, known))
    table = pa.table({"report_id": [f"note-{n}" for n in range(count)], "note": rows})
    pq.write_table(table, path, compression="zstd", row_group_size=10_000)


def reference(notes, bands, rows):
    """One run of the other side, in a process of its own: prints its seconds and what it drops."""
    import pyarrow.parquet as pq
    import xxhash
    from datasketch import MinHash, MinHashLSH

    texts = pq.read_table(notes)["note"].to_pylist()
    word = re.compile(r"[^\W_]+(?:(?<=[0-9])[.,](?=[0-9])[^\W_]+)*")
    started = time.perf_counter()

    def sequences(text):
        words = word.findall(text.lower())
        return {" ".join(words[at : at + WORDS]).encode() for at in range(max(1, len(words) - WORDS + 1))}

    signatures = MinHash.generator((sequences(text) for text in texts), num_perm=128, hashfunc=xxhash.xxh32_intdigest)
    index = MinHashLSH(num_perm=128, params=(bands, rows))
    dropped = []
    for number, signature in enumerate(signatures):
        if index.query(signature):
            dropped.append(number)
        else:
            index.insert(number, signature, check_duplication=False)
    print(json.dumps({"seconds": time.perf_counter() - started, "dropped": dropped}))


def run(command, **variables):
    done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": values}


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--notes", type=int, default=40_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--work", type=Path, default=ROOT / "runs/bench-near-duplicates")
    arguments.add_argument("--example", type=Path, default=ROOT / "target/release/examples/near_duplicates")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--plan", type=int, nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.reference:
        return reference(given.reference, *given.plan)

    import datasketch

    given.work.mkdir(parents=True, exist_ok=True)
    notes = given.work / f"notes-{given.notes}.parquet"
    if not notes.exists():
        draw_notes(notes, given.notes)

    def ours(threads):
        return run([given.example, notes, str(THRESHOLD)], RAYON_NUM_THREADS=str(threads))

    both = {"reference": [], "ours_1_thread": [], "ours_2_threads": []}
    for number in range(given.runs):
        both["ours_1_thread"].append(ours(1))
        plan = [str(both["ours_1_thread"][-1][key]) for key in ("bands", "rows")]
        both["reference"].append(run([sys.executable, __file__, "--reference", notes, "--plan", *plan]))
        both["ours_2_threads"].append(ours(2))
        print(number, {side: round(runs[-1]["seconds"], 3) for side, runs in both.items()}, file=sys.stderr)
    mine, theirs = (set(both[side][0]["dropped"]) for side in ("ours_1_thread", "reference"))
    assert all(set(run["dropped"]) == mine for side in ("ours_1_thread", "ours_2_threads") for run in both[side])
    seconds = {side: [run["seconds"] for run in runs] for side, runs in both.items()}
    last = both["ours_2_threads"][-1]
    result = {
        "what": "near-duplicate notes, Jaccard of sequences of five words above 0.8, 128 permutations",
        "command": f"python bench/near_duplicates.py --notes {given.notes} --runs {given.runs}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": processor(),
        "reference": f"datasketch {datasketch.__version__}, MinHash.generator and MinHashLSH, hash xxh32",
        "notes": last["notes"],
        "bytes": last["bytes"],
        "bands_and_rows": [last["bands"], last["rows"]],
        "dropped": {"ours": len(mine), "reference": len(theirs), "both": len(mine & theirs)},
        "seconds": {side: spread(values) for side, values in seconds.items()},
        "ratio": {
            side: spread([a / b for a, b in zip(seconds["reference"], seconds[side])])
            for side in ("ours_1_thread", "ours_2_threads")
        },
        "peak_rss_bytes": max(run["peak_rss_bytes"] for run in both["ours_2_threads"]),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
