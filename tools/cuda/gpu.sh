#!/usr/bin/env bash
# Holds a GPU to the CPU: every operation over random shapes, then ten training steps, full and LoRA, in f32 and bf16.
# Needs the one binary that build.sh makes, a driver and the CUDA libraries; neither Rust nor a compiler.
#
#   tools/cuda/gpu.sh [DEVICE [flags of `asclepius gpu-check`]]     default cuda:0
#   ASCLEPIUS      the binary (default target/cuda/asclepius)
#   RESULTS        where the JSON goes (default bench/results)
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

# PyTorch's wheels carry the libraries, each in a folder of its own that no loader knows.
wheels=$("${PYTHON:-python3}" - 2>/dev/null <<'P' || true
import pathlib, sysconfig, sys
roots = {pathlib.Path(path) / "nvidia" for path in [*sys.path, sysconfig.get_paths()["purelib"]] if path}
found = {str(lib.parent) for root in roots if root.is_dir() for lib in root.glob("**/lib/lib*.so*")}
print(":".join(sorted(found)))
P
)
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${wheels:+$wheels:}/usr/local/cuda/lib64:/usr/local/nvidia/lib64"

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
"$binary" gpu-check --device "$device" --json "$results/$(date -u +%F)-$card.json" "$@"
