#!/usr/bin/env python3
"""Times training steps of the real models' sizes on a card, this binary beside transformers + PEFT, one after the other.

    speed.py --binary target/cuda/asclepius --out FILE.json [--seconds 420] [--only NAME]..

The workloads come most valuable first, and none is begun when the time is up. Each row is written as soon as it is there.
Prints a table; ratios are ours over theirs on the same card in the same call.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

# Name, flags of gpu-bench, and whether transformers runs the same.
WORKLOADS = [
    ("LoRA Llama-3-8B, 4,096", "--model llama3-8b --method lora --length 4096", True),
    ("full Llama-3-8B, 8 x 2,048", "--model llama3-8b --method full --length 2048 --micro-batches 8 --eight-bit", True),
    ("QLoRA phi-2, 2 x 512", "--model phi-2 --method qlora --length 512 --rows 2 --recompute", True),
    ("full Llama-3.2-1B, 4 x 2,048", "--model llama3.2-1b --method full --length 2048 --rows 4", True),
    ("full Llama-3-8B, 8 x 2,048, recompute", "--model llama3-8b --method full --length 2048 --rows 2 --micro-batches 4 --eight-bit --recompute", False),
    ("LoRA Llama-3-8B, 4 x 2,048, recompute", "--model llama3-8b --method lora --length 2048 --rows 4 --recompute", True),
    ("full SmolLM2-135M, 16 x 1,024", "--model smollm2-135m --method full --length 1024 --rows 16", True),
    ("LoRA phi-2, 8 x 512", "--model phi-2 --method lora --length 512 --rows 8", True),
]


NOTES = """
tok/s: tokens over the median step's time, optimizer included. MFU: 6 operations (4 where the base is frozen) for every
number of the blocks' matrices and the head, over the card's promised bf16 rate; attention and recomputation not counted.
GB: the most memory that tensors held. theirs: transformers + PEFT with SDPA and the fused AdamW (moments in bf16 for bf16
weights, as PyTorch has them); bitsandbytes for QLoRA. speed, memory: ours over theirs."""


def run(command, limit):
    """The JSON object that a command ends with, or what went wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no end after {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    said = (done.stderr or done.stdout).strip().splitlines()
    return {"error": said[-1] if said else f"exit code {done.returncode}"}


def shown(side):
    if side is None:
        return "", ""
    if "error" in side:
        return side["error"][:24], ""
    return f"{side['tokens_per_second']:,.0f}", f"{side['peak_memory_bytes'] / 1e9:.1f}"


def table(rows):
    lines = [f"{'':<38}{'tok/s':>10}{'MFU':>7}{'GB':>7}{'theirs':>26}{'GB':>7}{'speed':>8}{'memory':>8}"]
    for row in rows:
        ours, theirs = row["ours"], row.get("theirs")
        speed, memory = shown(ours)
        their_speed, their_memory = shown(theirs)
        mfu = f"{ours['mfu']:.1%}" if ours.get("mfu") else ""
        ratios = ("", "")
        if theirs and "error" not in theirs and "error" not in ours:
            ratios = (
                f"{ours['tokens_per_second'] / theirs['tokens_per_second']:.2f}",
                f"{ours['peak_memory_bytes'] / theirs['peak_memory_bytes']:.2f}",
            )
        lines.append(
            f"{row['name']:<38}{speed:>10}{mfu:>7}{memory:>7}{their_speed:>26}{their_memory:>7}"
            f"{ratios[0]:>8}{ratios[1]:>8}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/cuda/asclepius")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=420.0)
    parser.add_argument("--each", type=float, default=10.0, help="seconds of steps on either side of a workload")
    parser.add_argument("--only", action="append", help="workloads whose name begins so")
    parser.add_argument("--alone", action="store_true", help="this binary only")
    arguments = parser.parse_args()

    started, rows = time.monotonic(), []
    peer = [sys.executable, str(pathlib.Path(__file__).with_name("peer.py"))]
    for name, flags, beside in WORKLOADS:
        if arguments.only and not any(name.startswith(only) for only in arguments.only):
            continue
        left = arguments.seconds - (time.monotonic() - started)
        if left < 20:
            break
        flags = [*flags.split(), "--seconds", str(arguments.each)]
        row = {"name": name, "flags": flags}
        row["ours"] = run([arguments.binary, "gpu-bench", "--device", arguments.device, *flags], left)
        left = arguments.seconds - (time.monotonic() - started)
        if beside and not arguments.alone and left > 20:
            row["theirs"] = run([*peer, *[flag for flag in flags if flag != "--eight-bit"]], left)
        rows.append(row)
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
        print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
    print("\n" + table(rows) + "\n" + NOTES)


if __name__ == "__main__":
    main()
