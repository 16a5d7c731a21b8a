#!/usr/bin/env python3
"""Compares golden dumps made anew with those committed: every tensor to ||a - b|| / ||b|| <= 1e-5, every number to 1e-5,
and all of them together below 5 MB.

    dumps.py NEW COMMITTED
"""

import json
import sys
from pathlib import Path

from safetensors.torch import load_file

BOUND = 1e-5
BYTES = 5_000_000


def numbers(value, at=""):
    """Every leaf of a JSON value, by its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{at}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, f"{at}[{index}]")
    else:
        yield at, value


def tensors_apart(new, committed):
    new, committed = load_file(new), load_file(committed)
    if new.keys() != committed.keys():
        yield f"other tensors: {sorted(new.keys() ^ committed.keys())}", float("inf")
    for name in sorted(new.keys() & committed.keys()):
        norm = committed[name].double().norm().item()
        apart = (new[name].double() - committed[name].double()).norm().item()
        yield name, apart / norm if norm > 0 else apart


def json_apart(new, committed):
    new, committed = (dict(numbers(json.loads(path.read_text()))) for path in (new, committed))
    for at in sorted(new.keys() | committed.keys()):
        a, b = new.get(at), committed.get(at)
        if isinstance(a, float) and isinstance(b, float):
            yield at, abs(a - b) / max(abs(b), 1e-12)
        elif a != b:
            yield f"{at}: {a!r}, committed {b!r}", float("inf")


def main():
    new, committed = map(Path, sys.argv[1:])
    files = [{path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (new, committed)]
    missed = [f"{path}: on one side only" for path in sorted(files[0] ^ files[1])]
    worst, count = 0.0, 0
    for path in sorted(files[0] & files[1]):
        apart = tensors_apart if path.suffix == ".safetensors" else json_apart
        for name, value in apart(new / path, committed / path):
            count += 1
            worst = max(worst, value)
            if not value <= BOUND:
                missed.append(f"{path} {name}: {value:.1e} apart")
    size = sum((committed / path).stat().st_size for path in files[1])
    if size >= BYTES:
        missed.append(f"{committed}: {size} bytes, over {BYTES}")
    print(f"{committed}: {count} tensors and numbers, {worst:.1e} apart at most, {size} bytes; {len(missed)} bounds missed")
    print(*missed, sep="\n", end="\n" if missed else "")
    sys.exit(int(bool(missed)))


if __name__ == "__main__":
    main()
