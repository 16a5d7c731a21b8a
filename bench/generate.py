#!/usr/bin/env python3
"""The transformers side of the generation benchmark: generate.py MODEL [--rows N] [--prompt N] [--new N] [--rounds N]

Greedy, with its key-value cache, f32, two threads; the prompts of the Rust example `generate`, and the same JSON.
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--rows", type=int, default=8)
parser.add_argument("--prompt", type=int, default=64)
parser.add_argument("--new", type=int, default=64)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
vocabulary = model.config.vocab_size
ids = torch.tensor(
    [
        [(row * 7919 + index * 104729 + 17) % (vocabulary - 100) + 50 for index in range(arguments.prompt)]
        for row in range(arguments.rows)
    ]
)
seconds = []
for _ in range(arguments.rounds + 1):
    started = time.perf_counter()
    with torch.no_grad():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=arguments.new,
            max_new_tokens=arguments.new,
            eos_token_id=None,
            repetition_penalty=1.0,
            pad_token_id=0,
        )
    seconds.append(time.perf_counter() - started)
print(
    json.dumps(
        {
            "new_tokens": arguments.rows * arguments.new,
            "seconds": seconds[1:],
            "tokens": out[:, arguments.prompt :].tolist(),
        }
    )
)
