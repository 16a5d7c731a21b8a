#!/usr/bin/env python3
"""Times training steps of the real models' sizes on a card, this binary beside transformers + PEFT, one after the other.

    speed.py --binary target/cuda/asclepius --out FILE.json [--seconds 420] [--only NAME]..
    speed.py --show FILE.json

The workloads come most valuable first, and none is begun when the time is up. Each row is written as soon as it is there.
Prints a table; ratios are ours over theirs on the same card in the same call. Below it, how long the two trainings of
Kweon et al. (2024) would take on this one card at the speeds measured. `--show` prints the same of a file that was written.
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

# Their dataset has 158,114 rows of one note each. It is not at hand, so its tokens are an estimate: 500 case reports of
# PMC-Patients have 700 tokens on average (SmolLM2's vocabulary; median 632), and the one figure known of the notes' lengths
# (36,654 below 1,500 characters, 23 %) makes notes a tenth shorter than those reports. 700 is taken, and 150 for a
# question with its answer, whose cap in their code is 300 tokens for either.
ROWS, NOTE_TOKENS, PAIR_TOKENS = 158_114, 700, 150
STAGES = [
    ("pre-training on the notes, 1 epoch", ROWS * NOTE_TOKENS, "2 h 59 min"),
    ("instruction tuning, 3 epochs", 3 * ROWS * (NOTE_TOKENS + PAIR_TOKENS), "30 h 41 min"),
]


def stages(rows):
    """How long the paper's two trainings of Llama-3-8B would take at each measured speed."""
    lines = []
    for row in rows:
        if "Llama-3-8B" not in row["name"] or "error" in row["ours"]:
            continue
        for name, tokens, theirs in STAGES:
            minutes = round(tokens / row["ours"]["tokens_per_second"] / 60)
            lines.append(f"{row['name']:<38}{name:<36}{minutes // 60:>4} h {minutes % 60:02} min   {theirs:>12}")
    if not lines:
        return ""
    head = f"{'at the speed of':<38}{'':<36}{'one card':>13}   {'paper':>12}"
    return "\n".join([head, *lines]) + (
        f"\n\nThe paper's times are its authors', on four A100 80 GB. One card's are tokens over the measured speed, for an estimated\n"
        f"{STAGES[0][1] / 1e6:.0f} and {STAGES[1][1] / 1e6:.0f} million tokens ({NOTE_TOKENS} a note, {PAIR_TOKENS} a question and answer); evaluations and checkpoints not counted."
    )


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


def show(rows):
    print("\n" + table(rows) + "\n" + NOTES + "\n\n" + stages(rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/cuda/asclepius")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--show", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=420.0)
    parser.add_argument("--each", type=float, default=4.0, help="seconds of steps on either side of a workload")
    parser.add_argument("--only", action="append", help="workloads whose name begins so")
    parser.add_argument("--alone", action="store_true", help="this binary only")
    arguments = parser.parse_args()
    if arguments.show:
        show(json.loads(arguments.show.read_text()))
        return
    if not arguments.out:
        parser.error("--out names the file to write")

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
    show(rows)


if __name__ == "__main__":
    main()
