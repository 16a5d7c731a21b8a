#!/usr/bin/env python3
"""Writes data/golden: small random models of every family with what transformers and peft make of them, for the Rust
tests to agree with.

    python tools/oracle/golden.py [DIR]     from the repository's root; needs torch, transformers, peft, safetensors

rows.json: rows of token ids, and which of them are predicted from those before. For each family a directory with the
model as transformers saves it, an adapter as peft saves it, and
  expected.safetensors  `full.logits` [t, v] of the first rows laid end to end, and `full.<tensor>`: the gradient of every
                        tensor for the loss summed over their supervised tokens; `lora.*`: the same with the adapter
  expected.json         those losses, and the losses of ten AdamW steps over all rows, of full training and of LoRA from
                        fresh adapters
"""

import json
import math
import random
import shutil
import sys
from pathlib import Path

import torch
from parity import FAMILIES, adapt, build
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

GOLDEN = Path(sys.argv[1] if __name__ == "__main__" and len(sys.argv) > 1 else "data/golden")
SIZES = {
    "vocab_size": 61,
    "hidden_size": 54,
    "intermediate_size": 30,
    "num_hidden_layers": 2,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 64,
}
CHANGES = {
    "llama3": {"tie_word_embeddings": True},
    "mistral": {"sliding_window": 5},
    "qwen3": {"head_dim": 8},
    "phi": {"partial_rotary_factor": 0.4},
    "phi3": {"sliding_window": 5},
}
# Scored for logits and gradients; all rows, this many a step, are trained on.
SCORED = 4
STEPS = {"rows": 4, "count": 10, "learning_rate": 1e-3, "weight_decay": 0.1, "max_norm": 1.0, "seed": 7}
LORA = {"rank": 3, "alpha": 6.0}


def make_rows():
    draw = random.Random(5)
    rows = []
    for length in [13, 2, 21, 9] + [draw.randrange(2, 24) for _ in range(STEPS["rows"] * STEPS["count"] - SCORED)]:
        ids = [draw.randrange(SIZES["vocab_size"]) for _ in range(length)]
        supervised = [index > 0 and (draw.random() < 0.7 or index == 1) for index in range(length)]
        rows.append({"ids": ids, "supervised": supervised})
    return rows


def run(model, rows):
    """The logits of each row, and the loss summed over all supervised tokens."""
    logits, total = [], 0.0
    for row in rows:
        ids = torch.tensor([row["ids"]])
        scores = model(input_ids=ids).logits[0]
        losses = torch.nn.functional.cross_entropy(scores[:-1], ids[0, 1:], reduction="none")
        total = total + losses[torch.tensor(row["supervised"][1:])].sum()
        logits.append(scores.detach())
    return torch.cat(logits), total


def supervised(rows):
    return sum(sum(row["supervised"]) for row in rows)


def score(model, rows, prefix, expected):
    model.zero_grad()
    logits, total = run(model, rows)
    total.backward()
    expected[f"{prefix}.logits"] = logits
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            name = name.replace(".default.weight", ".weight")
            expected[f"{prefix}.{name}"] = parameter.grad.detach().clone()
    return total.item()


def train(model, rows):
    """Ten steps of AdamW; the mean loss of each before its update."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=STEPS["learning_rate"], weight_decay=STEPS["weight_decay"], foreach=False
    )
    losses = []
    for step in range(STEPS["count"]):
        batch = rows[step * STEPS["rows"] : (step + 1) * STEPS["rows"]]
        optimizer.zero_grad()
        loss = run(model, batch)[1] / supervised(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, STEPS["max_norm"], foreach=False)
        optimizer.step()
        losses.append(loss.item())
    return losses


# The numbers asclepius draws: Philox4x32-10 of a seed and a stream that names are folded into.
MASK = (1 << 64) - 1


def mix(value):
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def fold(stream, value):
    return mix(((stream + 0x9E3779B97F4A7C15) & MASK) ^ mix(value))


def fold_name(stream, name):
    data = name.encode()
    stream = fold(stream, len(data))
    for start in range(0, len(data), 8):
        stream = fold(stream, int.from_bytes(data[start : start + 8], "little"))
    return stream


def words(seed, stream, count):
    for index in range((count + 3) // 4):
        a, b, c, d = index, 0, stream & 0xFFFFFFFF, stream >> 32
        low, high = seed & 0xFFFFFFFF, seed >> 32
        for _ in range(10):
            first, second = a * 0xD2511F53, c * 0xCD9E8D57
            a, b, c, d = (
                (second >> 32) ^ b ^ low,
                second & 0xFFFFFFFF,
                (first >> 32) ^ d ^ high,
                first & 0xFFFFFFFF,
            )
            low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
        yield from (a, b, c, d)


def fresh_adapters(model, rename):
    """Adapters whose A are the ones asclepius begins with (Kaiming uniform, a function of seed and name), B zero."""
    settings = LoraConfig(
        r=LORA["rank"], lora_alpha=LORA["alpha"], target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return first_a(get_peft_model(model, settings), STEPS["seed"], rename)


def first_a(adapted, seed, rename=lambda name: name):
    """Sets A as asclepius begins with: Kaiming uniform, a function of seed and name."""
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_A" in name:
                layer = rename(name.removeprefix("base_model.model.").split(".lora_A")[0])
                stream = fold_name(fold_name(0, "lora"), layer)
                units = [(word >> 8) / (1 << 24) for word in words(seed, stream, parameter.numel())]
                bound = 1.0 / math.sqrt(parameter.shape[1])
                values = torch.tensor(units[: parameter.numel()], dtype=torch.float32) * 2.0 - 1.0
                parameter.copy_((values * bound).reshape(parameter.shape))
    return adapted


# Phi's first layout: q, k and v stacked, other names, other keys (as candle-transformers' mixformer reads them).


class Part(torch.nn.Module):
    """One of the three projections of an attention module's Wqkv."""

    def __init__(self, attention, index):
        super().__init__()
        object.__setattr__(self, "attention", attention)
        self.index = index

    def forward(self, x):
        sizes = self.attention.part_sizes
        return self.attention.Wqkv(x).split(sizes, dim=-1)[self.index]


def stack(model):
    for layer in model.model.layers:
        attention = layer.self_attn
        parts = [attention.q_proj, attention.k_proj, attention.v_proj]
        attention.part_sizes = [part.out_features for part in parts]
        stacked = torch.nn.Linear(parts[0].in_features, sum(attention.part_sizes))
        stacked.weight.data = torch.cat([part.weight.data for part in parts])
        stacked.bias.data = torch.cat([part.bias.data for part in parts])
        attention.Wqkv = stacked
        attention.q_proj, attention.k_proj, attention.v_proj = (Part(attention, index) for index in range(3))
    return model


def first_name(name):
    for new, old in [
        ("model.embed_tokens", "transformer.embd.wte"),
        ("model.final_layernorm", "lm_head.ln"),
        ("model.layers.", "transformer.h."),
        ("input_layernorm", "ln"),
        ("self_attn.dense", "mixer.out_proj"),
        ("self_attn", "mixer"),
        ("lm_head.weight", "lm_head.linear.weight"),
        ("lm_head.bias", "lm_head.linear.bias"),
    ]:
        name = name.replace(new, old)
    return name


def first_config(config):
    return {
        "model_type": "phi-msft",
        "activation_function": "gelu_new",
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "initializer_range": config.initializer_range,
        "layer_norm_epsilon": config.layer_norm_eps,
        "n_embd": config.hidden_size,
        "n_head": config.num_attention_heads,
        "n_head_kv": config.num_key_value_heads,
        "n_inner": config.intermediate_size,
        "n_layer": config.num_hidden_layers,
        "n_positions": config.max_position_embeddings,
        "rotary_dim": 2,
        "tie_word_embeddings": False,
        "vocab_size": config.vocab_size,
    }


def dump(name, rows):
    first = name == "phi-first"
    family = "phi" if first else name
    rename = first_name if first else lambda name: name

    def fresh():
        model = build(family, 3, **SIZES, **CHANGES.get(family, {})).eval()
        return stack(model) if first else model

    directory = GOLDEN / name
    directory.mkdir(parents=True)
    model = fresh()
    if first:
        weights = {rename(key): value.contiguous() for key, value in model.state_dict().items()}
        save_file(weights, directory / "model.safetensors", {"format": "pt"})
        (directory / "config.json").write_text(json.dumps(first_config(model.config), indent=2) + "\n")
    else:
        model.save_pretrained(directory)
        (directory / "generation_config.json").unlink(missing_ok=True)
    expected = {}
    losses = {"full_loss": score(model, rows[:SCORED], "full", expected)}
    adapted = adapt(fresh(), LORA["rank"], LORA["alpha"]).eval()
    adapted.save_pretrained(directory / "adapter")
    (directory / "adapter" / "README.md").unlink(missing_ok=True)
    path = directory / "adapter" / "adapter_config.json"
    settings = json.loads(path.read_text())
    settings["target_modules"] = ["Wqkv", "fc1", "fc2", "out_proj"] if first else sorted(settings["target_modules"])
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    losses["lora_loss"] = score(adapted, rows[:SCORED], "lora", expected)
    if first:
        path = directory / "adapter" / "adapter_model.safetensors"
        save_file({rename(key): value for key, value in load_file(path).items()}, path, {"format": "pt"})
    expected = {rename(key): value.contiguous() for key, value in expected.items()}
    save_file(expected, directory / "expected.safetensors")
    losses["full_steps"] = train(fresh(), rows)
    losses["lora_steps"] = train(fresh_adapters(fresh(), rename).eval(), rows)
    (directory / "expected.json").write_text(json.dumps(losses, indent=1) + "\n")


def main():
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    rows = make_rows()
    settings = {"scored": SCORED, "steps": STEPS, "lora": LORA, "rows": rows}
    (GOLDEN / "rows.json").write_text(json.dumps(settings) + "\n")
    for name in [*FAMILIES, "phi-first"]:
        dump(name, rows)
    for path in GOLDEN.rglob("*.safetensors"):
        path.chmod(0o644)


if __name__ == "__main__":
    main()
