"""The chat client against a mock endpoint in a process of its own: seconds, processor time, memory, goodput under faults.

    python bench/calls.py [--runs 5] [--rows 1000000] [--only calls faults open rows] [--work DIR] [--out FILE.md]

Needs `cargo build --release -p asclepius-llm --examples` and nothing but Python's standard library. Every figure is a
median with the least and the most. The ledger lies in --work, which should be on a real disk.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples"


def run(work, latency_ms, calls, in_flight, faults=False, timeout=300, fresh=True):
    """One run of the client against a fresh server; the client's own report of it."""
    ledger = work / "ledger"
    if fresh:
        shutil.rmtree(ledger, ignore_errors=True)
    command = [EXAMPLES / "mock_endpoint", str(latency_ms), "600"] + (["faults"] if faults else [])
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        client = [EXAMPLES / "calls", url, ledger, str(calls), str(in_flight), str(timeout)]
        return json.loads(subprocess.run(client, check=True, capture_output=True, text=True).stdout)
    finally:
        server.kill()
        server.wait()


def spread(values, form="{:.2f}"):
    values = sorted(values)
    return f"{form.format(statistics.median(values))} ({form.format(values[0])} to {form.format(values[-1])})"


def faults_bound(calls, in_flight, latency, timeout):
    """The least seconds that `calls` rows can take with the mock's faults, if no place in flight is ever idle.

    A place is held from a send to its end: the latency for every answer, the timeout for the 2 % that never come. 30 %
    of the sends bring no reply, so a row takes 1 / 0.7 sends. Waiting (Retry-After, backing off) holds no place; the
    last rows cannot end before one latency and one wait have passed, which is left out here.
    """
    place_seconds = (0.98 * latency + 0.02 * timeout) / 0.7
    return calls * place_seconds / in_flight


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--rows", type=int, default=1_000_000, help="rows of the memory run")
    cases = ["calls", "faults", "open", "rows"]
    arguments.add_argument("--only", nargs="+", choices=cases, default=cases)
    arguments.add_argument("--work", type=Path)
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    work = Path(tempfile.mkdtemp(dir=options.work))
    lines = [f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; `bench/calls.py --runs {options.runs}`", ""]
    lines += ["| case | figure | median (least to most) |", "|---|---|---|"]

    def note(case, figure, text):
        lines.append(f"| {case} | {figure} | {text} |")
        print(lines[-1], flush=True)

    try:
        if "calls" in options.only:
            for latency, calls, in_flight in [(1000, 10_000, 1000), (50, 10_000, 500)]:
                results = [run(work, latency, calls, in_flight) for _ in range(options.runs)]
                case = f"{calls:,} calls of {latency} ms, {in_flight} in flight"
                note(case, "seconds", spread([result["seconds"] for result in results]))
                microseconds = [result["cpu_seconds"] / calls * 1e6 for result in results]
                note(case, "us of processor time a call", spread(microseconds, "{:.0f}"))
            results = [run(work, 50, 10_000, 500, fresh=False) for _ in range(options.runs)]
            assert all(result["sent"] == 0 for result in results)
            note("the same 10,000 from the ledger", "seconds", spread([result["seconds"] for result in results]))

        if "faults" in options.only:
            calls, in_flight, latency, timeout = 100_000, 200, 0.05, 0.5
            results = [run(work, 50, calls, in_flight, faults=True, timeout=timeout) for _ in range(options.runs)]
            bound = faults_bound(calls, in_flight, latency, timeout)
            case = f"{calls:,} calls of 50 ms, {in_flight} in flight, every fault at once"
            # Rows that are left to the next run, or dropped since they were cut off twice, are not goodput.
            good = [1 - (result["pending"] + result["dropped"]) / calls for result in results]
            shares = [bound * share / result["seconds"] for share, result in zip(good, results)]
            note(case, f"share of the bound ({bound:.2f} s)", spread(shares))
            note(case, "rows dropped, cut off twice", spread([result["dropped"] for result in results], "{:.0f}"))
            note(case, "rows left pending", spread([result["pending"] for result in results], "{:.0f}"))

        if "open" in options.only:
            opened = subprocess.run([EXAMPLES / "ledger_open", work / "open"], check=True, capture_output=True, text=True)
            opened = json.loads(opened.stdout)
            case = f"opening a ledger of {opened['calls']:,} calls, {opened['bytes'] / 1e6:.0f} MB"
            note(case, "seconds", spread(opened["open_seconds"]))
            shutil.rmtree(work / "open")

        if "rows" in options.only:
            result = run(work, 5, options.rows, 500)
            early, late = result["resident_kib_early"] / 1024, result["resident_kib"] / 1024
            note(f"{options.rows:,} rows", "MiB resident after a tenth, at the end", f"{early:.0f}, {late:.0f}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
