#!/usr/bin/env python3
"""The oracle for losses, logits and gradients: transformers and peft on the same weights and tokens.

    parity.py make llama --out DIR [--adapter DIR]     a small random model (and adapter) with awkward shapes
    parity.py rows --vocab N --out ROWS.jsonl          ragged random rows
    parity.py score MODEL ROWS.jsonl [--adapter DIR] [--gradients FILE] [--logits]
    parity.py compare OURS.jsonl THEIRS.jsonl [--gradients OURS THEIRS]

A row is a JSON object a line: {"ids": [..], "supervised": [true, ..]}; supervised[i] says whether token i is predicted
from those before it (the first never is). `score` prints, for each row, the loss summed over supervised tokens, their
number, and the mean. The Rust side of `score` is `cargo run --release -p asclepius-model --example score`, with the same
arguments and the same output.

Needs torch, transformers, peft and safetensors; nothing in the product does.
"""

import argparse
import json
import random
import sys
from pathlib import Path

FAMILIES = {
    "llama": {},
    "llama-biases": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "llama3": {
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "llama-linear": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "llama-yarn": {
        "rope_theta": 100.0,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "beta_fast": 4.0,
            "truncate": False,
            "original_max_position_embeddings": 64,
        },
    },
    "llama-yarn-whole": {
        "rope_theta": 50.0,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 2.0,
            "mscale": 1.0,
            "mscale_all_dim": 0.5,
            "original_max_position_embeddings": 128,
        },
    },
    "mistral": {"sliding_window": 7},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 12},
    "phi": {"partial_rotary_factor": 0.75},
    "phi3": {"sliding_window": 7, "pad_token_id": None},
}
SIZES = {
    "vocab_size": 263,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.15,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def build(family, seed, **sizes):
    """A random model of one family: grouped queries, an odd vocabulary, weights large enough to matter."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    model_type = "llama" if family.startswith("llama") else family
    config = AutoConfig.for_model(model_type, **{**SIZES, **FAMILIES[family], **sizes})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.normal_(0.0, 0.1)
            elif "norm" in name:
                parameter.normal_(1.0, 0.1)
    return model


def adapt(model, rank, alpha):
    """Adapters on every linear layer, as they are after some training: B is not zero any more."""
    import torch
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, settings)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.1)
    return adapted


def make(arguments):
    """A model, and adapters for it."""
    model = build(arguments.family, arguments.seed)
    model.save_pretrained(arguments.out)
    if arguments.adapter:
        adapt(model, 4, 10).save_pretrained(arguments.adapter)


def rows(arguments):
    """Ragged rows, most of their tokens supervised."""
    draw = random.Random(arguments.seed)
    with open(arguments.out, "w") as out:
        for length in [2, 5, 17, 33, 64, 100, 31, 8, 48, 77]:
            ids = [draw.randrange(arguments.vocab) for _ in range(length)]
            supervised = [index > 0 and (draw.random() < 0.7 or index == 1) for index in range(length)]
            out.write(json.dumps({"ids": ids, "supervised": supervised}) + "\n")


def load(arguments):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="eager")
    if arguments.adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, arguments.adapter, is_trainable=True)
    return model.eval()


def score(arguments):
    """Losses, row by row; gradients of the sum over all rows."""
    import torch

    model = load(arguments)
    for line in Path(arguments.rows).read_text().splitlines():
        row = json.loads(line)
        ids = torch.tensor([row["ids"]])
        supervised = torch.tensor(row["supervised"][1:])
        with torch.set_grad_enabled(bool(arguments.gradients)):
            logits = model(input_ids=ids).logits[0]
            losses = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none")
            total = losses[supervised].sum()
        if arguments.gradients:
            total.backward()
        count = int(supervised.sum())
        result = {"sum": losses[supervised].double().sum().item(), "supervised": count}
        result["loss"] = result["sum"] / max(count, 1)
        if arguments.logits:
            result["logits"] = logits[-1].tolist()
        print(json.dumps(result))
    if arguments.gradients:
        from safetensors.torch import save_file

        gradients = {
            name.replace(".default.weight", ".weight"): parameter.grad.contiguous()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and parameter.grad is not None
        }
        save_file(gradients, arguments.gradients)


def compare(arguments):
    """The largest differences; exit 1 above the bound."""
    ours = [json.loads(line) for line in Path(arguments.ours).read_text().splitlines()]
    theirs = [json.loads(line) for line in Path(arguments.theirs).read_text().splitlines()]
    if len(ours) != len(theirs):
        sys.exit(f"{len(ours)} rows against {len(theirs)}")
    worst = {}

    def note(what, difference):
        worst[what] = max(worst.get(what, 0.0), difference)

    for mine, other in zip(ours, theirs):
        if mine["supervised"] != other["supervised"]:
            sys.exit(f"supervised tokens differ: {mine['supervised']} against {other['supervised']}")
        note("loss", abs(mine["sum"] - other["sum"]) / max(abs(other["sum"]), 1e-9))
        if "logits" in mine and "logits" in other:
            apart = sum((a - b) ** 2 for a, b in zip(mine["logits"], other["logits"])) ** 0.5
            note("logits", apart / sum(b * b for b in other["logits"]) ** 0.5)
    if arguments.gradients:
        from safetensors.torch import load_file

        mine, other = (load_file(path) for path in arguments.gradients)
        if mine.keys() != other.keys():
            sys.exit(f"gradients of different tensors: {sorted(mine.keys() ^ other.keys())}")
        for name in sorted(mine):
            difference = (mine[name] - other[name]).norm().item() / max(other[name].norm().item(), 1e-12)
            note("gradient", difference)
            if difference > arguments.bound:
                print(f"{name}: {difference:.2e}")
    print(json.dumps(worst))
    sys.exit(int(any(difference > arguments.bound for difference in worst.values())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make")
    command.add_argument("family", choices=FAMILIES)
    command.add_argument("--out", required=True)
    command.add_argument("--adapter")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=make)
    command = commands.add_parser("rows")
    command.add_argument("--vocab", type=int, required=True)
    command.add_argument("--out", required=True)
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=rows)
    command = commands.add_parser("score")
    command.add_argument("model")
    command.add_argument("rows")
    command.add_argument("--adapter")
    command.add_argument("--gradients")
    command.add_argument("--logits", action="store_true")
    command.set_defaults(run=score)
    command = commands.add_parser("compare")
    command.add_argument("ours")
    command.add_argument("theirs")
    command.add_argument("--gradients", nargs=2, metavar=("OURS", "THEIRS"))
    command.add_argument("--bound", type=float, default=1e-4)
    command.set_defaults(run=compare)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
