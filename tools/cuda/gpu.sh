#!/usr/bin/env bash
# Holds a GPU to the CPU: every operation over random shapes, ten training steps of every method, in f32, bf16 and (adapters) f16, and the demo
# pipeline from data to served answers, killed and resumed; to transformers and PEFT: ten steps from the same weights; then times steps of models
# of published sizes, beside the same two where Python has them.
# Needs the one binary that build.sh makes, a driver and the CUDA libraries; neither Rust nor a compiler.
#
#   tools/cuda/gpu.sh [DEVICE [flags of `asclepius gpu-check`]]     default cuda:0
#   ASCLEPIUS      the binary (default target/cuda/asclepius)
#   RESULTS        where the JSON goes (default bench/results)
#   SPEED_SECONDS  how long to time steps for, the other side's too (default 420; 0: not at all)
#   PYTHON         a Python whose PyTorch brings cuBLAS and cuRAND, where the system has none (default python3)
set -euo pipefail
cd "$(dirname "$0")/../.."

device=${1:-cuda:0}
shift || true
binary=${ASCLEPIUS:-target/cuda/asclepius}
results=${RESULTS:-bench/results}
if [ ! -x "$binary" ]; then
    echo "no $binary: just cuda-build makes it, also on another machine" >&2
    exit 1
fi

# shellcheck source=tools/cuda/libraries.sh
. tools/cuda/libraries.sh

card=cpu
if [ "$device" != cpu ]; then
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=index,name,driver_version,memory.total,compute_cap --format=csv
        card=$(nvidia-smi --query-gpu=name --format=csv,noheader --id="${device#cuda:}")
    else
        card=unknown
    fi
fi
card=$(tr '[:upper:]' '[:lower:]' <<<"$card" | tr -cs 'a-z0-9' '-' | sed 's/^-//; s/-$//')
mkdir -p "$results"
name=$results/$(date -u +%F)-$card
missed=0
"$binary" gpu-check --device "$device" --json "$name.json" "$@" | tee "$name.txt" || missed=$?

if [ "$device" != cpu ]; then
    "${PYTHON:-python3}" tools/cuda/pipeline.py --binary "$binary" --device "$device" --out "$name-pipeline.json" \
        | tee --append "$name.txt" || missed=1
fi

seconds=${SPEED_SECONDS:-420}
if [ "$device" != cpu ] && [ "$seconds" -gt 0 ]; then
    alone=--alone
    "${PYTHON:-python3}" -c 'import torch, transformers, peft' 2>/dev/null && alone=
    # shellcheck disable=SC2086 # a flag or nothing
    "${PYTHON:-python3}" tools/cuda/speed.py --binary "$binary" --device "$device" --seconds "$seconds" $alone \
        --out "$name-speed.json" | tee --append "$name.txt"
fi
exit "$missed"
