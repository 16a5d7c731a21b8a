"""Writes crates/asclepius-train/tests/golden/optimizer.json: AdamW, clipping and schedules as PyTorch and transformers
compute them, for the Rust tests to agree with. Run from the repository root, with torch and transformers installed.

    python tools/oracle/optimizer_golden.py
"""

import json
import math
from pathlib import Path

import torch
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

PEAK = 3e-3
STEPS = 10
WARMUP_RATIO = 0.15
BETAS = (0.9, 0.95)
EPSILON = 1e-8
WEIGHT_DECAY = 0.1
MAX_NORM = 1.0
SHAPES = {"bias": [3], "weight": [4, 5]}


def start(name):
    count = math.prod(SHAPES[name])
    return torch.tensor([math.sin(0.7 * i + len(name)) for i in range(count)], dtype=torch.float64).float()


def gradient(name, step):
    count = math.prod(SHAPES[name])
    values = [math.cos(0.3 * i + step) * (0.2 + 0.2 * step) for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).float()


def schedule_rates(make):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=PEAK)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def main():
    warmup = math.ceil(STEPS * WARMUP_RATIO)
    rates = {
        "cosine": schedule_rates(lambda o: get_cosine_schedule_with_warmup(o, warmup, STEPS)),
        "linear": schedule_rates(lambda o: get_linear_schedule_with_warmup(o, warmup, STEPS)),
        "constant": schedule_rates(lambda o: get_constant_schedule_with_warmup(o, warmup)),
    }
    parameters = {name: torch.nn.Parameter(start(name).reshape(SHAPES[name])) for name in sorted(SHAPES)}
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=PEAK, betas=BETAS, eps=EPSILON, weight_decay=WEIGHT_DECAY, foreach=False
    )
    steps = []
    for step in range(1, STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = rates["cosine"][step - 1]
        for name, parameter in parameters.items():
            parameter.grad = gradient(name, step).reshape(SHAPES[name])
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM, foreach=False)
        optimizer.step()
        steps.append(
            {
                "norm": norm.item(),
                "values": {name: parameter.flatten().tolist() for name, parameter in parameters.items()},
            }
        )
    golden = {
        "torch": torch.__version__.split("+")[0],
        "peak": PEAK,
        "warmup_ratio": WARMUP_RATIO,
        "betas": BETAS,
        "epsilon": EPSILON,
        "weight_decay": WEIGHT_DECAY,
        "max_norm": MAX_NORM,
        "shapes": SHAPES,
        "start": {name: start(name).tolist() for name in sorted(SHAPES)},
        "gradients": [
            {name: gradient(name, step).tolist() for name in sorted(SHAPES)} for step in range(1, STEPS + 1)
        ],
        "rates": rates,
        "steps": steps,
    }
    path = Path("crates/asclepius-train/tests/golden/optimizer.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
