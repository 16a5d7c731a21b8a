#!/usr/bin/env python3
"""The PyTorch side of the training benchmark: one JSON object, as the Rust example `train_step` prints it.

    train_step.py full|lora [--model DIR] [--rows N] [--length N] [--steps N] [--checkpointing]

Without a model directory: a 35.7M-parameter Llama from random weights. `lora`: peft, rank 8 on every linear layer. SDPA
attention, fused AdamW, two threads. The first step warms up and is not counted.
"""

import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["full", "lora"])
parser.add_argument("--model")
parser.add_argument("--rows", type=int, default=4)
parser.add_argument("--length", type=int, default=256)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--checkpointing", action="store_true")
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.manual_seed(0)
if arguments.model:
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="sdpa")
else:
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config).float()
if arguments.what == "lora":
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
if arguments.checkpointing:
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
model.train()
model.config.use_cache = False

vocabulary = model.config.vocab_size
ids = torch.randint(0, vocabulary, (arguments.rows, arguments.length))
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.01, fused=True)
seconds, losses = [], []
for _ in range(arguments.steps + 1):
    started = time.perf_counter()
    logits = model(ids).logits
    loss = F.cross_entropy(logits[:, :-1].reshape(-1, vocabulary), ids[:, 1:].reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, float("inf"))
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - started)
print(
    json.dumps(
        {
            "tokens": arguments.rows * arguments.length,
            "seconds": seconds[1:],
            "losses": losses,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    )
)
