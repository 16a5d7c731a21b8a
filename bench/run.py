#!/usr/bin/env python3
"""Training and generation beside PyTorch, on this machine, in turn: ours, theirs, ours, theirs.

    python bench/run.py [--model DIR] [--rounds N] [--only NAME] [--out FILE.md]

Needs torch, transformers and peft, and the examples built (`just bench` does both). `--model`: SmolLM2-135M as a Hugging
Face directory, as `asclepius model import` makes it; without it only the model of random weights is measured. Each round is
a process of its own for either side; its figure is the median of its steps. A ratio is ours over theirs of the same round,
so that a machine whose speed drifts disturbs it little; given are the median, the lowest and the highest.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path("target/release/examples")
HERE = Path(__file__).parent


def run(command):
    # A library path tuned for an older OpenBLAS would slow PyTorch down.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    environment["RAYON_NUM_THREADS"] = environment["OMP_NUM_THREADS"] = "2"
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])



def training(what, ours, theirs):
    def measure():
        mine = run([EXAMPLES / "train_step", what, *ours])
        other = run([sys.executable, HERE / "train_step.py", what, *theirs])
        speed = [result["tokens"] / statistics.median(result["seconds"]) for result in (mine, other)]
        return [("tokens/s", *speed), ("peak MB", mine["peak_bytes"] / 1e6, other["peak_bytes"] / 1e6)]

    return measure


def generation(model):
    def measure():
        mine = run([EXAMPLES / "generate", model])
        other = run([sys.executable, HERE / "generate.py", model])
        speed = [result["new_tokens"] / statistics.median(result["seconds"]) for result in (mine, other)]
        same = sum(ours == theirs for ours, theirs in zip(mine["tokens"], other["tokens"]))
        return [("new tokens/s", *speed), ("rows alike", same, len(other["tokens"]))]

    return measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    cases = {
        "full, 35.7M Llama, 4 x 256": training("full", [], []),
        "full, 35.7M Llama, 4 x 256, recompute block": training("full", ["--recompute", "block"], []),
    }
    if arguments.model:
        lora = ["--model", arguments.model, "--rows", "4", "--length", "512", "--steps", "2"]
        cases["LoRA, SmolLM2-135M, 4 x 512"] = training("lora", lora, lora)
        cases["LoRA, SmolLM2-135M, 4 x 512, recompute selective"] = training("lora", [*lora, "--recompute", "selective"], lora)
        cases["generate, SmolLM2-135M, 8 x 64"] = generation(arguments.model)
    lines = ["| case | figure | ours | PyTorch | ratio | lowest to highest |", "|---|---|---|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    for name, measure in cases.items():
        if arguments.only and arguments.only not in name:
            continue
        rounds = [measure() for _ in range(arguments.rounds)]
        for figures in zip(*rounds):
            ratios = [ours / theirs for _, ours, theirs in figures]
            ours, theirs = (statistics.median(figure[side] for figure in figures) for side in (1, 2))
            ratio, low, high = statistics.median(ratios), min(ratios), max(ratios)
            line = f"| {name} | {figures[0][0]} | {ours:.0f} | {theirs:.0f} | {ratio:.2f} | {low:.2f} to {high:.2f} |"
            lines.append(line)
            print(line, flush=True)
    if arguments.out:
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.machine())
        given = " ".join(["bench/run.py", "--rounds", str(arguments.rounds)])
        head = f"{cpu}, {os.cpu_count()} cores, 2 threads, f32. `{given}`\n"
        Path(arguments.out).write_text("\n".join([head, *lines, ""]))


if __name__ == "__main__":
    main()
