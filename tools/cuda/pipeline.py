#!/usr/bin/env python3
"""Runs the demo pipeline whole on a card beside the CPU: data, both trainings, evaluation, a served answer.

    pipeline.py --binary target/cuda/asclepius --device cuda:0 [--out FILE.json]

Three runs from one seed: on the CPU; on the card in f32, whose losses and answers must be the CPU's within rounding; on the
card in bf16, whose losses may differ by bf16's. The card's f32 run traces training steps (`--profile`). Ends with 1 where a
bound is missed.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

# How far a run's losses may be from the CPU's, as a share, and how many of its answers must be the CPU's word for word.
# In another order of sums greedy decoding may take another word, and then goes another way to the end.
RUNS = [
    {"name": "f32", "precision": "f32", "loss": 0.01, "answers": 0.8},
    {"name": "bf16", "precision": "bf16", "loss": 0.05, "answers": 0.0},
]
RUN_NAME = "gpu-pipeline"
PROMPT = [{"role": "user", "content": "What was the diagnosis?"}]


def sets(name, device, precision):
    keys = {"name": f"{RUN_NAME}-{name}", "eval.device": device}
    for stage in ["pretrain", "sft"]:
        keys |= {f"{stage}.device": device, f"{stage}.precision": precision}
    return [part for key, value in keys.items() for part in ["--set", f'{key}="{value}"']]


def run(binary, name, device, precision, profile=False):
    directory = pathlib.Path("runs") / f"{RUN_NAME}-{name}"
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    command = [binary, "run", "demo", *sets(name, device, precision), *(["--profile"] if profile else [])]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    found = {"seconds": round(time.monotonic() - began, 1)}
    for stage in ["pretrain", "sft"]:
        rows = [json.loads(line) for line in (directory / stage / "metrics.jsonl").read_text().splitlines()]
        found[stage] = {
            "losses": [row["loss"] for row in rows if "loss" in row],
            "eval_losses": [row["eval_loss"] for row in rows if "eval_loss" in row],
            "tokens_per_second": sorted(row["tokens_per_second"] for row in rows if "tokens_per_second" in row)[len(rows) // 2 - 1],
            "traced": (directory / stage / "profile.json").is_file(),
        }
    answers = [json.loads(line) for line in (directory / "eval/predictions.jsonl").read_text().splitlines()]
    found["answers"] = {f"{row['model']} {row['row']}": row["text"] for row in answers}
    found["served"] = served(binary, sets(name, device, precision), device)
    return found


def served(binary, keys, device):
    """What the tuned model of a run says to the prompt, through the server."""
    server = subprocess.Popen([binary, "serve", "demo", *keys, "--device", device, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            at = re.search(r"http://\S+/v1", line)
            if at:
                break
        else:
            raise SystemExit("serve ended: " + "".join(said))
        models = json.load(urllib.request.urlopen(f"{at[0]}/models", timeout=60))
        body = {"model": models["data"][-1]["id"], "messages": PROMPT, "max_tokens": 24, "temperature": 0}
        request = urllib.request.Request(f"{at[0]}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=120))["choices"][0]["message"]["content"]
    finally:
        server.terminate()
        server.wait()


def farthest(own, other):
    """The greatest difference of two curves, as a share of the second; none where they have not as many points."""
    if len(own) != len(other) or not own:
        return float("inf")
    return max(abs(a - b) / abs(b) for a, b in zip(own, other))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", default="target/cuda/asclepius")
    arguments.add_argument("--device", default="cuda:0")
    arguments.add_argument("--out", type=pathlib.Path)
    given = arguments.parse_args()
    reference = run(given.binary, "cpu", "cpu", "f32")
    report, missed = {"cpu": reference}, []
    print(f"{'whole pipeline':<16}{'seconds':>8}{'pretrain, sft tok/s':>22}{'loss off by':>13}{'answers as on the CPU':>23}")
    row = "{:<16}{:>8}{:>22}{:>13}{:>23}"
    speeds = lambda found: ", ".join(f"{found[stage]['tokens_per_second']:,.0f}" for stage in ["pretrain", "sft"])
    print(row.format("cpu", reference["seconds"], speeds(reference), "", ""))
    for each in RUNS:
        found = run(given.binary, each["name"], given.device, each["precision"], profile=each["name"] == "f32")
        off = max(farthest(found[stage][key], reference[stage][key]) for stage in ["pretrain", "sft"] for key in ["losses", "eval_losses"])
        same = sum(found["answers"].get(key) == text for key, text in reference["answers"].items())
        share = same / max(1, len(reference["answers"]))
        report[each["name"]] = {**found, "loss_off_by": off, "answers_as_on_the_cpu": share}
        print(row.format(f"{given.device} {each['name']}", found["seconds"], speeds(found), f"{off:.2%}", f"{same} of {len(reference['answers'])}"), flush=True)
        bounds = {"losses": off <= each["loss"], "answers": share >= each["answers"], "a served answer": bool(found["served"].strip()) or not reference["served"].strip()}
        if each["name"] == "f32":
            bounds["a trace"] = all(found[stage]["traced"] for stage in ["pretrain", "sft"])
        missed += [f"{each['name']}: {name}" for name, held in bounds.items() if not held]
    if given.out:
        given.out.write_text(json.dumps(report, indent=1) + "\n")
    for name in ["cpu", *(each["name"] for each in RUNS)]:
        shutil.rmtree(pathlib.Path("runs") / f"{RUN_NAME}-{name}", ignore_errors=True)
    if missed:
        print("missed: " + "; ".join(missed))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
