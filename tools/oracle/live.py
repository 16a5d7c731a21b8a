#!/usr/bin/env python3
"""Random models of every family, drawn from a seed, computed by asclepius and by transformers + peft.

    live.py --score BINARY --steps BINARY [--seed N] [--models N] [--keep DIR]

Shapes are drawn too: heads and groups, head sizes unlike hidden / heads where the family allows it, odd sizes inside,
vocabularies that are a multiple of nothing, rotations and their scaling, windows, biases, ties, and LoRA's rank, alpha,
targets and rslora. Compared, full and LoRA: the logits of every row's last token and every gradient
(||a - b|| / ||b|| <= 1e-4), and the losses of ten AdamW steps (|a - b| / b <= 1e-5). AdamW divides small gradients by
their own size, so some models carry rounding far: there, and only above the bound, PyTorch's f32 is compared with its own
f64, and asclepius may be as far from f32 as that. Prints the worst of each family; exits 1 above a bound, naming the models.

The two binaries are the examples of asclepius-model and asclepius-train.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import golden
import torch
from safetensors.torch import load_file
from transformers.utils import logging

BOUNDS = {"logits": 1e-4, "gradients": 1e-4, "losses": 1e-5}
MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "phi", "phi3"]
STEPS = {"rows": 3, "count": 10, "learning_rate": 1e-3, "weight_decay": 0.1, "max_norm": 1.0}
LAYERS = {
    "phi": ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"],
    "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
}
LLAMA_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def scaling(draw, kind):
    if kind == "linear":
        return {"rope_type": "linear", "factor": draw.choice([1.5, 2.0, 4.0, 8.0])}
    if kind == "llama3":
        low = draw.choice([1.0, 1.5, 2.0])
        return {
            "rope_type": "llama3",
            "factor": draw.choice([2.0, 8.0, 32.0]),
            "low_freq_factor": low,
            "high_freq_factor": low * draw.choice([2.0, 4.0]),
            "original_max_position_embeddings": draw.choice([16, 32, 64]),
        }
    settings = {
        "rope_type": "yarn",
        "factor": draw.choice([2.0, 4.0, 40.0]),
        "original_max_position_embeddings": draw.choice([16, 32, 64]),
    }
    if draw.random() < 0.5:
        settings |= {"beta_fast": draw.choice([4.0, 16.0]), "beta_slow": draw.choice([0.5, 1.0])}
    if draw.random() < 0.4:
        settings |= {"mscale": draw.choice([0.7, 1.0]), "mscale_all_dim": draw.choice([0.5, 1.0])}
    elif draw.random() < 0.3:
        settings["attention_factor"] = draw.choice([0.8, 1.3])
    if draw.random() < 0.5:
        settings["truncate"] = draw.random() < 0.5
    return settings


def configuration(draw, model_type, kind):
    """Keys of a random configuration."""
    groups = draw.choice([1, 2, 3, 5])
    heads = groups * draw.choice([1, 2, 3, 4])
    head_dim = 2 * draw.randint(2, 12)
    hidden = heads * head_dim
    keys = {
        "vocab_size": draw.randint(37, 331),
        "intermediate_size": draw.randint(13, 149),
        "num_hidden_layers": draw.randint(1, 4),
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "max_position_embeddings": 128,
        "tie_word_embeddings": draw.random() < 0.5,
        "rope_theta": draw.choice([50.0, 1000.0, 10000.0, 500000.0, 1e6]),
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    if model_type in ("llama", "mistral", "qwen3") and draw.random() < 0.6:
        keys["head_dim"] = head_dim
        # Any size does, odd ones too: nothing is turned in pairs there. transformers' Llama wants a multiple all the same.
        hidden = heads * draw.randint(2, 19) if model_type == "llama" else draw.randint(11, 97)
    elif model_type == "qwen3":
        keys["head_dim"] = head_dim
    keys["hidden_size"] = hidden
    keys["initializer_range"] = draw.uniform(0.4, 1.2) / hidden**0.5
    keys["layer_norm_eps" if model_type == "phi" else "rms_norm_eps"] = draw.choice([1e-6, 1e-5, 1e-3])
    if model_type in ("llama", "qwen3"):
        keys["attention_bias"] = draw.random() < 0.5
    if model_type == "llama":
        keys["mlp_bias"] = draw.random() < 0.5
    if model_type == "mistral":
        keys["sliding_window"] = draw.choice([None, 3, 8, 17])
    if model_type in ("qwen2", "qwen3") and draw.random() < 0.5:
        keys |= {"use_sliding_window": True, "sliding_window": draw.choice([3, 9]), "max_window_layers": 0}
    if model_type == "phi":
        turned = 2 * draw.randint(1, head_dim // 2)
        keys |= {"partial_rotary_factor": (turned + 0.5) / head_dim if turned < head_dim else 1.0}
        keys["tie_word_embeddings"] = False
        keys["hidden_act"] = draw.choice(["gelu_new", "gelu_pytorch_tanh", "gelu"])
    if model_type == "phi3":
        keys |= {"sliding_window": draw.choice([None, 4, 11]), "pad_token_id": None}
    if kind and model_type != "phi3":
        keys["rope_scaling"] = scaling(draw, kind)
    return keys


def build(model_type, keys, seed):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **keys)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.normal_(0.0, 0.1)
            elif "norm" in name:
                parameter.normal_(1.0, 0.1)
    return model.eval()


def adapters(model, lora):
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        target_modules=lora["targets"],
        use_rslora=lora["rslora"],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings).eval()


def random_rows(draw, vocab, count):
    rows = []
    for _ in range(count):
        length = draw.randint(2, 40)
        ids = [draw.randrange(vocab) for _ in range(length)]
        supervised = [index > 0 and (draw.random() < 0.7 or index == 1) for index in range(length)]
        rows.append({"ids": ids, "supervised": supervised})
    return rows


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def distance(ours, theirs):
    """||a - b|| / ||b||; absolute where b is next to nothing, as the gradient of a bias no score depends on."""
    norm = theirs.double().norm().item()
    apart = (ours.double() - theirs.double()).norm().item()
    return apart / norm if norm > 1e-4 else apart


def call(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(arguments[0]).name}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def scored(binary, model, place, rows, adapter):
    """The worst distances of logits and of gradients."""
    write_rows(place / "scored.jsonl", rows)
    model.zero_grad()
    logits, total = golden.run(model, rows)
    total.backward()
    flags = ["--adapter", adapter] if adapter else []
    gradients = place / "gradients.safetensors"
    found = call(binary, place / "model", place / "scored.jsonl", "--logits", "--gradients", gradients, *flags)
    last = [sum(len(row["ids"]) for row in rows[: index + 1]) - 1 for index in range(len(rows))]
    logits_apart = max(
        distance(torch.tensor(row["logits"]), logits[index]) for row, index in zip(found, last, strict=True)
    )
    ours = load_file(gradients)
    theirs = {
        name.replace(".default.weight", ".weight"): parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    if ours.keys() != theirs.keys():
        raise RuntimeError(f"gradients of different tensors: {sorted(ours.keys() ^ theirs.keys())}")
    return logits_apart, max(distance(ours[name], theirs[name]) for name in theirs)


def losses_apart(ours, theirs):
    return max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))


def trained(binary, make, place, rows, settings):
    """The worst distance of ten losses."""
    write_rows(place / "trained.jsonl", rows)
    (place / "settings.json").write_text(json.dumps(settings))
    [ours] = call(binary, place / "model", place / "trained.jsonl", place / "settings.json")
    golden.STEPS = settings
    theirs = golden.train(make(), rows)
    apart = losses_apart(ours, theirs)
    if apart > BOUNDS["losses"]:
        rounding = losses_apart(theirs, golden.train(make().double(), rows))
        print(f"{place.name}: losses {apart:.1e} apart; PyTorch's f32 is {rounding:.1e} from its f64", flush=True)
        apart = 0.0 if apart <= rounding else apart
    return apart


def compare(arguments, seed, model_type, kind, place):
    draw = random.Random(seed)
    keys = configuration(draw, model_type, kind)
    names = LAYERS.get(model_type, LLAMA_LAYERS)
    targets = "all-linear" if draw.random() < 0.3 else sorted(draw.sample(names, draw.randint(1, len(names))))
    lora = {
        "rank": draw.randint(1, 9),
        "alpha": draw.choice([1.0, 5.0, 8.0, 16.0, 32.0]),
        "targets": targets,
        "rslora": draw.random() < 0.5,
    }
    (place / "drawn.json").write_text(json.dumps({"seed": seed, "model": keys, "lora": lora}, indent=1) + "\n")
    rows = random_rows(draw, keys["vocab_size"], STEPS["rows"] * STEPS["count"])
    settings = {**STEPS, "seed": seed, "lora": None}
    build(model_type, keys, seed).save_pretrained(place / "model")

    figures = {}
    figures["full"] = scored(arguments.score, build(model_type, keys, seed), place, rows[:5], None)
    figures["full"] += (trained(arguments.steps, lambda: build(model_type, keys, seed), place, rows, settings),)
    adapted = adapters(build(model_type, keys, seed), lora)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.1)
    adapted.save_pretrained(place / "adapter")
    figures["lora"] = scored(arguments.score, adapted, place, rows[:5], place / "adapter")

    def fresh():
        return golden.first_a(adapters(build(model_type, keys, seed), lora), seed)

    figures["lora"] += (trained(arguments.steps, fresh, place, rows, {**settings, "lora": {**lora, "dropout": 0.0}}),)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", required=True)
    parser.add_argument("--steps", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    # Every family meets every scaling in turn; the seed decides the rest.
    kinds = [None, "linear", "llama3", "yarn"]
    worst, missed = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(arguments.models):
            model_type = MODEL_TYPES[index % len(MODEL_TYPES)]
            kind = kinds[(index // len(MODEL_TYPES) + index) % len(kinds)]
            seed = arguments.seed * 1000 + index
            place = Path(arguments.keep or scratch) / f"{seed}-{model_type}"
            place.mkdir(parents=True, exist_ok=True)
            try:
                figures = compare(arguments, seed, model_type, kind, place)
            except Exception:
                missed.append(f"{place.name}: {traceback.format_exc(limit=3)}")
                print(f"{place.name}: failed", file=sys.stderr, flush=True)
                continue
            for method, found in figures.items():
                named = dict(zip(BOUNDS, found, strict=True))
                rows = worst.setdefault(model_type, {}).setdefault(method, dict.fromkeys(BOUNDS, 0.0))
                for what, value in named.items():
                    rows[what] = max(rows[what], value)
                    if not value <= BOUNDS[what]:
                        missed.append(f"{place.name} {method}: {what} {value:.1e} apart; {(place / 'drawn.json').read_text()}")
    print(f"{'family':<10}{'method':<8}" + "".join(f"{what + ' <= ' + format(bound, '.0e'):>20}" for what, bound in BOUNDS.items()))
    for model_type, methods in worst.items():
        for method, figures in methods.items():
            print(f"{model_type:<10}{method:<8}" + "".join(f"{value:>20.1e}" for value in figures.values()))
    print(f"{arguments.models} models from seed {arguments.seed}; {len(missed)} bounds missed")
    for line in missed:
        print(line)
    sys.exit(int(bool(missed)))


if __name__ == "__main__":
    main()
