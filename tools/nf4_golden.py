"""Writes crates/asclepius-ops/tests/golden/nf4.json: matrices that bitsandbytes held in NF4 with double quantisation, for
the Rust quantiser to agree with byte for byte. Run from the repository root, with bitsandbytes installed.

    python tools/nf4_golden.py
"""

import json
from pathlib import Path

import bitsandbytes
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit


def scrambled(index):
    """Uniform in 0 to 1, a function of the index; exact in f32."""
    value = index * 0x9E3779B1 & 0xFFFFFFFF
    value = (value ^ value >> 15) * 0x85EBCA77 & 0xFFFFFFFF
    return ((value ^ value >> 13) >> 8) / 2**24


def matrix(rows, columns):
    """Numbers that heap up around 0, of another magnitude in every row; the test makes the same."""
    number = lambda index: sum(scrambled(3 * index + part) for part in range(3)) - 1.5
    values = [[number(row * columns + column) * 2.0 ** (row % 7 - 5) for column in range(columns)] for row in range(rows)]
    return torch.tensor(values, dtype=torch.float32)


def matrices():
    yield "plain", matrix(24, 128)
    # 300 blocks: more than one block of scales.
    yield "wide", matrix(50, 384)
    # The last block is short, one is all zeros, one has an outlier, one has every number from border to border.
    odd = matrix(7, 69)
    odd.view(-1)[64:128] = 0.0
    odd.view(-1)[130] = 40.0
    odd.view(-1)[192:257] = torch.arange(-32, 33) / 32
    yield "odd", odd
    yield "small", matrix(3, 10)


def main():
    cases = {}
    for name, values in matrices():
        packed, state = quantize_4bit(values, blocksize=64, compress_statistics=True, quant_type="nf4")
        decoded = dequantize_4bit(packed, state).flatten()
        cases[name] = {
            "codes": packed.flatten().numpy().tobytes().hex(),
            "offset": state.offset.item(),
            "scale_codes": state.absmax.flatten().numpy().tobytes().hex(),
            "scale_scales": state.state2.absmax.flatten().tolist(),
            "decoded_every_7th": decoded[::7].tolist(),
        }
    path = Path("crates/asclepius-ops/tests/golden/nf4.json")
    path.write_text(json.dumps({"bitsandbytes": bitsandbytes.__version__, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
