#!/usr/bin/env python3
"""Where a card's time goes: sums up what Nsight Compute wrote of every kernel.

    ncu --csv --metrics gpu__time_duration.sum -- target/cuda/asclepius gpu-bench ... > kernels.csv
    kernels.py kernels.csv
"""

import collections
import csv
import sys


def rows(path):
    with open(path) as file:
        # The measured program's own lines stand before and between.
        lines = [line for line in file if line.startswith('"')]
    return csv.DictReader(lines)


def main(path):
    seconds, calls = collections.Counter(), collections.Counter()
    for row in rows(path):
        name = row["Kernel Name"].split("(")[0].replace("void ", "")[:90]
        unit = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3}[row["Metric Unit"]]
        seconds[name] += float(row["Metric Value"].replace(",", "")) * unit
        calls[name] += 1
    total = sum(seconds.values())
    for name, spent in seconds.most_common(45):
        print(f"{spent * 1e3:9.3f} ms {spent / total:6.1%} {calls[name]:6d}  {name}")
    print(f"{total * 1e3:9.3f} ms in {sum(calls.values())} kernels")


if __name__ == "__main__":
    main(sys.argv[1])
