"""Tokenise and pack notes: Hugging Face `datasets.map` with grouping beside this project, in alternating runs.

    python bench/tokenise.py TOKENIZER_DIR [--notes 100000] [--runs 5] [--length 2048] [--work DIR] [--out FILE.json]

Needs datasets, transformers and pyarrow, and `cargo build --release -p asclepius-cli -p asclepius-dataset --examples`.
The notes are those of sample_notes.py. Both sides get two processes or threads. The other side's clock runs over its
two calls of `map` alone; ours over everything: hashing and reading the Parquet file, tokens, the file they are kept in,
packing.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import sample_notes

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2


def draw_notes(path, count):
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw, known = random.Random(20240101), sample_notes.sentences()
    rows = [sample_notes.draw_note(draw, known) for _ in range(count)]
    table = pa.table({"report_id": [f"note-{n}" for n in range(count)], "note": rows})
    pq.write_table(table, path, compression="zstd", row_group_size=10_000)
    return sum(len(row.encode()) for row in rows)


def reference(tokenizer_dir, notes, work, length):
    """One run of the other side, in a process of its own: prints its seconds."""
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    bos = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    eos = [tokenizer.eos_token_id]
    rows = datasets.Dataset.from_parquet(str(notes), cache_dir=str(work / "cache"))

    def tokenise(batch):
        ids = tokenizer(batch["note"], add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return {"input_ids": [bos + row + eos for row in ids]}

    def group(batch):
        joined = [token for row in batch["input_ids"] for token in row]
        return {"input_ids": [joined[at : at + length] for at in range(0, len(joined), length)]}

    started = time.perf_counter()
    tokens = rows.map(tokenise, batched=True, num_proc=WORKERS, remove_columns=rows.column_names)
    between = time.perf_counter()
    packed = tokens.map(group, batched=True, num_proc=WORKERS)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "tokenise_seconds": between - started, "sequences": len(packed)}))


def run(command, **variables):
    done = subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(runs):
    seconds = [run["seconds"] for run in runs]
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds), "runs": seconds}


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("tokenizer", type=Path)
    arguments.add_argument("--notes", type=int, default=100_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--length", type=int, default=2048)
    arguments.add_argument("--work", type=Path, default=ROOT / "runs/bench-tokenise")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.reference:
        return reference(given.tokenizer, given.reference, given.work, given.length)

    given.work.mkdir(parents=True, exist_ok=True)
    notes = given.work / f"notes-{given.notes}.parquet"
    size = draw_notes(notes, given.notes)
    example = ROOT / "target/release/examples/tokenise"
    cache = given.work / "tokens"

    def ours():
        command = [example, given.tokenizer, notes, cache, str(given.length)]
        return run(command, RAYON_NUM_THREADS=str(WORKERS))

    def theirs():
        shutil.rmtree(given.work / "cache", ignore_errors=True)
        command = [sys.executable, __file__, given.tokenizer, "--reference", notes, "--work", given.work]
        return run([*command, "--length", str(given.length)], TOKENIZERS_PARALLELISM="false")

    both = {"reference": [], "ours": [], "again": []}
    for number in range(given.runs):
        both["reference"].append(theirs())
        shutil.rmtree(cache, ignore_errors=True)
        both["ours"].append(ours())
        both["again"].append(ours())
        assert both["again"][-1]["found"] and not both["ours"][-1]["found"]
        print(number, {side: round(runs[-1]["seconds"], 3) for side, runs in both.items()}, file=sys.stderr)
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(both["reference"], both["ours"])]
    last = both["ours"][-1]
    result = {
        "what": "tokenise and pack notes",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": processor(),
        "command": f"python bench/tokenise.py TOKENIZER_DIR --notes {given.notes} --runs {given.runs} --length {given.length}",
        "notes": given.notes,
        "megabytes": round(size / 1e6, 1),
        "tokens": last["tokens"],
        "sequences": last["sequences"],
        "fill": last["fill"],
        "datasets_map_seconds": spread(both["reference"]),
        "asclepius_seconds": spread(both["ours"]),
        "asclepius_pack_seconds": statistics.median(run["pack_seconds"] for run in both["ours"]),
        "asclepius_from_cache_seconds": spread(both["again"]),
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
