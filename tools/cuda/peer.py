#!/usr/bin/env python3
"""The PyTorch side of `asclepius gpu-bench`: transformers, PEFT, SDPA and the fused AdamW on the same sizes and shapes.

    peer.py --model llama3-8b --method lora --length 4096 [--rows N] [--layers N] [--recompute] [--steps N] [--seconds S]

Random weights in bf16, random tokens, one JSON object with the keys of `gpu-bench`. QLoRA wants bitsandbytes. What does not
fit the card is reported as such: `{"error": "out of memory"}`.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, LlamaConfig, PhiConfig


def llama(vocabulary, width, inner, layers, heads, groups, head, tied):
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=head,
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        tie_word_embeddings=tied,
    )


MODELS = {
    "llama3-8b": lambda: llama(128256, 4096, 14336, 32, 32, 8, 128, False),
    "llama3.2-1b": lambda: llama(128256, 2048, 8192, 16, 32, 8, 64, True),
    "smollm2-135m": lambda: llama(49152, 576, 1536, 30, 9, 3, 64, True),
    "phi-2": lambda: PhiConfig(
        vocab_size=51200,
        hidden_size=2560,
        intermediate_size=10240,
        num_hidden_layers=32,
        num_attention_heads=32,
        hidden_act="gelu_new",
        partial_rotary_factor=0.4,
        max_position_embeddings=2048,
        embd_pdrop=0.0,
        resid_pdrop=0.0,
    ),
}


def build(arguments):
    config = MODELS[arguments.model]()
    if arguments.layers:
        config.num_hidden_layers = arguments.layers
    config.use_cache = False
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    if arguments.method == "qlora":
        import bitsandbytes as bnb

        for name, module in list(model.named_modules()):
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                parent, _, child = name.rpartition(".")
                quantised = bnb.nn.Linear4bit(
                    module.in_features,
                    module.out_features,
                    bias=module.bias is not None,
                    compute_dtype=torch.bfloat16,
                    compress_statistics=True,
                    quant_type="nf4",
                )
                quantised.load_state_dict(module.state_dict())
                setattr(model.get_submodule(parent), child, quantised.cuda())
                del module
    if arguments.method != "full":
        from peft import LoraConfig, get_peft_model

        for parameter in model.parameters():
            parameter.requires_grad_(False)
        adapters = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, adapters)
    if arguments.recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    return model.train()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default="llama3-8b")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--method", choices=["full", "lora", "qlora"], default="lora")
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--micro-batches", type=int, default=1)
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    try:
        model = build(arguments)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.0, fused=True)
        vocabulary = model.config.vocab_size
        ids = torch.randint(0, vocabulary, (arguments.rows, arguments.length), device="cuda")
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        resting = torch.cuda.memory_allocated()
        seconds, losses, begun = [], [], time.perf_counter()
        for step in range(arguments.steps + 1):
            if step > 1 and time.perf_counter() - begun > arguments.seconds:
                break
            started = time.perf_counter()
            for _ in range(arguments.micro_batches):
                logits = model(input_ids=ids).logits
                # The loss as transformers' trainer computes it: scores in f32.
                loss = F.cross_entropy(logits[:, :-1].reshape(-1, vocabulary).float(), ids[:, 1:].reshape(-1))
                del logits
                (loss / arguments.micro_batches).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
    except torch.cuda.OutOfMemoryError:
        print(json.dumps({"error": "out of memory"}))
        return
    tokens = arguments.micro_batches * arguments.rows * arguments.length
    print(
        json.dumps(
            {
                "tokens": tokens,
                "step_seconds": seconds[1:],
                "losses": losses,
                "tokens_per_second": tokens / statistics.median(seconds[1:]),
                "peak_memory_bytes": torch.cuda.max_memory_allocated(),
                "resting_memory_bytes": resting,
                "trainable": sum(parameter.numel() for parameter in trained),
            }
        )
    )


if __name__ == "__main__":
    main()
