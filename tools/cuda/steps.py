#!/usr/bin/env python3
"""Ten training steps of one model on one device, this binary beside transformers and PEFT: the same weights, rows and rule.

    steps.py --binary target/cuda/asclepius --device cuda:0 --model DIR --texts FILE.jsonl

DIR is a Hugging Face model directory, FILE has a `text` a line. Every step takes all rows, so that no order of theirs plays
a part. Training of every tensor and of adapters, in f32 and in bf16 (here over f32 weights; there by autocast). Ends with 1
where a loss is farther off than rounding makes it.
"""

import argparse
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

STEPS, RATE, MICRO_BATCH = 10, 1e-3, 4
# Method, precision, and how far a step's loss may be from theirs, as a share.
CASES = [("full", "f32", 1e-4), ("lora", "f32", 1e-4), ("full", "bf16", 2e-2), ("lora", "bf16", 2e-2)]

PIPELINE = """
name = "{name}"
seed = 3
[pretrain]
base = "{model}"
data = "{texts}"
text_column = "text"
method = "{method}"
packing = "none"
epochs = {steps}
max_steps = {steps}
global_batch = {rows}
micro_batch = {micro_batch}
learning_rate = {rate}
schedule = "constant"
warmup_ratio = 0.0
precision = "{precision}"
{more}
device = "{device}"
tensorboard = false
"""


def ours(binary, folder, **keys):
    """The losses of the steps, and the run's directory."""
    more = "master_weights = true" if (keys["method"], keys["precision"]) == ("full", "bf16") else ""
    name = f"gpu-steps-{keys['method']}-{keys['precision']}"
    lora = '[pretrain.lora]\nrank = 8\nalpha = 16.0\ntargets = "all-linear"\n' if keys["method"] == "lora" else ""
    file = pathlib.Path(folder) / f"{name}.toml"
    file.write_text(PIPELINE.format(name=name, more=more, micro_batch=MICRO_BATCH, **keys) + lora)
    run = pathlib.Path("runs") / name
    shutil.rmtree(run, ignore_errors=True)
    done = subprocess.run([binary, "pretrain", str(file)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{binary} pretrain {file}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    rows = [json.loads(line) for line in (run / "pretrain/metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row], run


def theirs(model, adapter, texts, precision, device):
    """The losses of the same steps in PyTorch. `adapter`: a directory of PEFT's; none trains every tensor."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)
    torch.backends.cuda.matmul.allow_tf32 = False
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).to(device).train()
    if adapter:
        import peft

        network = peft.PeftModel.from_pretrained(network, adapter, is_trainable=True)
    rows = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        ends = lambda token: [] if token is None else [token]
        rows.append(ends(tokenizer.bos_token_id) + ids + ends(tokenizer.eos_token_id))
    trained = [tensor for tensor in network.parameters() if tensor.requires_grad]
    rule = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    narrow = torch.autocast(device.split(":")[0], torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
    losses = []
    for _ in range(STEPS):
        asked, total = sum(len(row) - 1 for row in rows), 0.0
        # A row at a time: no padding that could play a part.
        for row in rows:
            ids = torch.tensor([row], device=device)
            with narrow:
                scores = network(input_ids=ids).logits[0, :-1]
            loss = torch.nn.functional.cross_entropy(scores.float(), ids[0, 1:], reduction="sum") / asked
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        rule.step()
        rule.zero_grad()
        losses.append(total)
    return losses


def farthest(own, other):
    """The greatest difference of two rows of numbers, as a share of the second; no end where they have not as many."""
    if len(own) != len(other) or not own:
        return float("inf")
    return max(abs(a - b) / abs(b) for a, b in zip(own, other, strict=True))


def compare(binary, device, model, texts):
    """Whether all cases hold; and what was found."""
    found, folder = [], tempfile.mkdtemp()
    rows = [json.loads(line)["text"] for line in pathlib.Path(texts).read_text().splitlines()]
    keys = {"model": pathlib.Path(model).resolve(), "texts": pathlib.Path(texts).resolve(), "rows": len(rows), "device": device}
    print(f"{'ten steps beside transformers':<32}{'first':>10}{'last':>10}{'theirs':>10}{'off by':>10}{'bound':>9}")
    for method, precision, bound in CASES:
        adapter = None
        if method == "lora":
            # One step too small to count: the adapters as they begin. Of none at all no adapter is kept.
            _, run = ours(binary, folder, **keys, method=method, precision=precision, steps=1, rate=1e-30)
            adapter = shutil.copytree(run / "pretrain/final", pathlib.Path(folder) / f"adapter-{precision}")
        own, run = ours(binary, folder, **keys, method=method, precision=precision, steps=STEPS, rate=RATE)
        other = theirs(str(keys["model"]), adapter, rows, precision, device)
        off = farthest(own, other)
        found.append({"method": method, "precision": precision, "ours": own, "theirs": other, "off_by": off, "bound": bound})
        verdict = "" if off <= bound else "  MISSED"
        print(f"{method + ', ' + precision:<32}{own[0]:>10.4f}{own[-1]:>10.4f}{other[-1]:>10.4f}{off:>10.1e}{bound:>9.0e}{verdict}", flush=True)
        shutil.rmtree(run, ignore_errors=True)
    shutil.rmtree(folder)
    return all(case["off_by"] <= case["bound"] for case in found), found


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", default="target/cuda/asclepius")
    arguments.add_argument("--device", default="cuda:0")
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--texts", required=True)
    given = arguments.parse_args()
    return int(not compare(given.binary, given.device, given.model, given.texts)[0])


if __name__ == "__main__":
    sys.exit(main())
