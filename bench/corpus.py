"""Read JATS articles: `pubmed_parser` beside this project's reader, one core each, in alternating rounds.

    python bench/corpus.py FOLDER [--rounds 7] [--out FILE.json]

Needs pubmed_parser, and `cargo build --release -p asclepius-corpus --example read_articles`. FOLDER holds `.xml` files.
The other side reads metadata and paragraphs of every file; ours is timed twice: reading the same (metadata, sections,
paragraphs with citations and figure references taken out), and the whole of ingest: every gate, and patients cut out.
Seconds are wall time of a process pinned to one core, starting and importing left out on both sides.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def reference(folder, repeats):
    """One round of the other side, in a process of its own: prints its seconds."""
    import pubmed_parser

    files = sorted(str(path) for path in folder.glob("*.xml"))
    for path in files[:2]:
        pubmed_parser.parse_pubmed_xml(path)
    started = time.perf_counter()
    for _ in range(repeats):
        for path in files:
            pubmed_parser.parse_pubmed_xml(path)
            pubmed_parser.parse_pubmed_paragraph(path, all_paragraph=True)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=3, help="passes over the folder in a round of the other side")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.reference:
        return reference(arguments.folder, arguments.repeats)

    size = sum(path.stat().st_size for path in arguments.folder.glob("*.xml"))
    pinned = ["taskset", "-c", str(arguments.core)]
    ours_rounds = arguments.repeats * 10
    example = ROOT / "target/release/examples/read_articles"
    rows = []
    for _ in range(arguments.rounds):
        theirs = run([*pinned, sys.executable, __file__, str(arguments.folder), "--reference", "--repeats", str(arguments.repeats)])
        ours = run([*pinned, str(example), str(ours_rounds), str(arguments.folder)])
        row = {
            "pubmed_parser_mb_per_s": size * arguments.repeats / 1e6 / theirs["seconds"],
            "read_mb_per_s": size * ours_rounds / 1e6 / ours["read_seconds"],
            "ingest_mb_per_s": size * ours_rounds / 1e6 / ours["judged_seconds"],
        }
        row["read_ratio"] = row["read_mb_per_s"] / row["pubmed_parser_mb_per_s"]
        row["ingest_ratio"] = row["ingest_mb_per_s"] / row["pubmed_parser_mb_per_s"]
        rows.append(row)
        print("  ".join(f"{name} {value:.1f}" for name, value in row.items()), file=sys.stderr)
    result = {name: spread([row[name] for row in rows]) for name in rows[0]}
    result |= {"rounds": arguments.rounds, "bytes": size, "machine": platform.machine(), "cores": os.cpu_count()}
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
