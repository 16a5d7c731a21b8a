#!/usr/bin/env bash
# The binary with CUDA, built where there is neither a card nor a CUDA installation.
#
#   CUDA_COMPUTE_CAP   the card's compute capability without its dot (default 90: H100, H200; 75 is the least)
#   PYTHON             a Python with venv, which fetches the toolkit (default python3)
#   CARGO_FLAGS        more for cargo, as in "-j 2"
#   FLASH_JOBS         how many of FlashAttention's kernels are compiled at a time (default: processors; 6 GB each)
#
# The compiler comes from NVIDIA's wheels into target/cuda/toolkit. The result links no CUDA library, so that one file
# starts on every machine: see workspace.sh for what is changed in copies of candle's crates.
set -euo pipefail
cd "$(dirname "$0")/../.."

export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90} CUDARC_CUDA_VERSION=13000
out=$PWD/target/cuda
mkdir -p "$out"

toolkit() {
    local wanted=(
        nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
        nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
    )
    if [ "$(cat "$out/toolkit/wheels" 2>/dev/null)" != "${wanted[*]}" ]; then
        rm -rf "$out/toolkit"
        "${PYTHON:-python3}" -m venv "$out/toolkit"
        "$out/toolkit/bin/pip" install --quiet --disable-pip-version-check --no-deps "${wanted[@]}"
        echo "${wanted[*]}" >"$out/toolkit/wheels"
    fi
    CUDA_HOME=$(echo "$out"/toolkit/lib/python3*/site-packages/nvidia/cu13)
    [ -x "$CUDA_HOME/bin/nvcc" ] || { echo "no nvcc below $out/toolkit" >&2; return 1; }
    export CUDA_HOME CUDA_PATH=$CUDA_HOME CUDA_ROOT=$CUDA_HOME NVCC=$CUDA_HOME/bin/nvcc PATH=$CUDA_HOME/bin:$PATH
}

# shellcheck source=tools/cuda/workspace.sh
. tools/cuda/workspace.sh
# shellcheck source=tools/cuda/flash.sh
. tools/cuda/flash.sh
toolkit
flash_attention
sources
cudarc
kernels

# The file is carried to machines by hand: everything is compiled for size but what rows, tokens and numbers go through, and
# what is written twice is merged. Ten minutes of linking that the build for the CPU, which the tests share, does not pay.
# With the last crate for size too the file has ten megabytes less, and training on the CPU takes 1.6 times as long.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
for crate in asclepius-{cli,ops,model,train,text,corpus,dataset} candle-{core,nn} gemm{,-common,-f16,-f32,-f64} pulp half \
    tokenizers regex-automata aho-corasick memchr blake3 quick-xml mimalloc libmimalloc-sys zstd-sys rayon{,-core}; do
    patch+=(--config "profile.release.package.$crate.opt-level=3")
done
# shellcheck disable=SC2086 # flags are words
(
    cd "$workspace"
    export CARGO_TARGET_DIR=$out/cargo
    cargo build --release ${CARGO_FLAGS:-} --features cuda "${patch[@]}"
)
# This link keeps the names of functions, whatever the profile says: a tenth of the file.
install --strip -m 755 "$out/cargo/release/asclepius" "$out/asclepius"

# What the file promises, looked at.
if ldd "$out/asclepius" | grep -iE 'cuda|cublas|curand|nvrtc'; then
    echo "$out/asclepius links a CUDA library" >&2
    exit 1
fi
bytes=$(stat --format %s "$out/asclepius")
"$out/asclepius" --version
echo "$out/asclepius: $bytes bytes for compute capability $CUDA_COMPUTE_CAP"
[ "$bytes" -lt 50000000 ] || echo "over the 50 MB it is meant to stay below" >&2
