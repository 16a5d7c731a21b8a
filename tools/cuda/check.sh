#!/usr/bin/env bash
# Type-checks the code for CUDA where there is neither a card nor a toolkit: cargo check never links, and what build scripts
# want of nvcc, its output files, an empty stand-in gives. What nvcc itself says of our kernels is asked where
# `just cuda-build` has fetched one; their tests run the same source on the processor.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/target/cuda
mkdir -p "$out/stand-in/bin" "$out/stand-in/include"
cat >"$out/stand-in/bin/nvcc" <<'NVCC'
#!/usr/bin/env bash
set -euo pipefail
directory=. output= sources=()
while [ $# -gt 0 ]; do
    case "$1" in
        --version) echo "Cuda compilation tools, release 13.0, V13.0.88"; exit ;;
        --list-gpu-code | --list-gpu-arch) printf 'sm_80\nsm_90\n'; exit ;;
        -o | --output-file) output=$2; shift ;;
        --output-directory | -odir) directory=$2; shift ;;
        *.cu) sources+=("$1") ;;
    esac
    shift
done
if [ -n "$output" ]; then
    : >"$output"
    exit
fi
for source in "${sources[@]}"; do
    : >"$directory/$(basename "$source" .cu).ptx"
done
NVCC
chmod +x "$out/stand-in/bin/nvcc"
# The code that calls FlashAttention is read with the rest; its library is looked for when a program is linked.
: >"$out/stand-in/libasclepius_flash.a"

# shellcheck source=tools/cuda/workspace.sh
. tools/cuda/workspace.sh
sources
cudarc
kernels
(
    cd "$workspace"
    export NVCC=$out/stand-in/bin/nvcc CUDA_HOME=$out/stand-in CUDA_PATH=$out/stand-in PATH=$out/stand-in/bin:$PATH
    export CUDA_COMPUTE_CAP=90 CUDARC_CUDA_VERSION=13000 CARGO_TARGET_DIR=$out/check
    export ASCLEPIUS_FLASH_ATTENTION=$out/stand-in
    cargo check --quiet --workspace --features cuda "${patch[@]}" "$@"
)

for nvcc in "$out"/toolkit/lib/python3*/site-packages/nvidia/cu13/bin/nvcc; do
    if [ ! -x "$nvcc" ]; then
        echo "skipped: no nvcc below $out/toolkit to compile the kernels with"
        break
    fi
    for source in crates/asclepius-ops/kernels/*.cu; do
        for capability in 75 80 90; do
            "$nvcc" -cubin -std=c++17 -O3 -arch "sm_$capability" -Werror all-warnings -o /dev/null "$source"
        done
    done
    echo "kernels compiled for 7.5, 8.0 and 9.0"
done
