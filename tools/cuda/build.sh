#!/usr/bin/env bash
# The binary with CUDA, built where there is neither a card nor a CUDA installation.
#
#   CUDA_COMPUTE_CAP   the card's compute capability without its dot (default 90: H100, H200)
#   PYTHON             a Python with venv, which fetches the toolkit (default python3)
#   CARGO_FLAGS        more for cargo, as in "-j 2"
#
# The compiler and the static runtime come from NVIDIA's wheels into target/cuda/toolkit. The result links no CUDA
# library: cudarc, which candle asks to link the driver at build time, is told on a copy to open it at run time, and
# what candle's kernels want of the runtime is answered by its static half. So one file starts on every machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90} CUDARC_CUDA_VERSION=13000
out=$PWD/target/cuda
workspace=$out/workspace
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
    mkdir -p "$out/link"
    echo "INPUT($CUDA_HOME/lib/libcudart_static.a -ldl -lrt -lpthread)" >"$out/link/libcudart.so"
}

# The patch would rewrite Cargo.lock, so it is applied to a copy of the working tree; times are kept, so that a second
# build compiles only what changed.
sources() {
    rm -rf "$workspace"
    mkdir -p "$workspace"
    git ls-files -z --cached --others --exclude-standard -- Cargo.toml Cargo.lock rust-toolchain.toml clippy.toml \
        crates data pipelines tests docs README.md |
        tar --null --files-from=- --ignore-failed-read --create | tar --extract --directory "$workspace"
}

cudarc() {
    local version copy=$out/cudarc
    version=$(sed -n '/^name = "cudarc"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    cargo fetch --locked --quiet
    rm -rf "$copy"
    cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"cudarc-$version" "$copy"
    rm -f "$copy/.cargo-ok" "$copy/.cargo_vcs_info.json"
    sed -i 's/^dynamic-linking = \[\]/dynamic-linking = ["dynamic-loading"]/' "$copy/Cargo.toml"
    # Its build script refuses both features at once, and would emit the link flags of the one that candle names.
    sed -i -e 's/feature = "dynamic-linking"/feature = "linked-at-build-time"/' "$copy/build.rs"
    grep -q 'dynamic-linking = \["dynamic-loading"\]' "$copy/Cargo.toml" &&
        ! grep -q '"dynamic-linking"' "$copy/build.rs" ||
        { echo "cudarc $version is laid out otherwise than this script knows" >&2; return 1; }
}

toolkit
sources
cudarc
# shellcheck disable=SC2086 # flags are words
(
    cd "$workspace"
    export CARGO_TARGET_DIR=$out/cargo RUSTFLAGS="-L native=$out/link"
    cargo build --release ${CARGO_FLAGS:-} --features cuda \
        --config "patch.crates-io.cudarc.path=\"$out/cudarc\""
)
install -m 755 "$out/cargo/release/asclepius" "$out/asclepius"

# What the file promises, looked at.
if ldd "$out/asclepius" | grep -iE 'cuda|cublas|curand|nvrtc'; then
    echo "$out/asclepius links a CUDA library" >&2
    exit 1
fi
bytes=$(stat --format %s "$out/asclepius")
"$out/asclepius" --version
echo "$out/asclepius: $bytes bytes for compute capability $CUDA_COMPUTE_CAP"
# Of 96 MB measured, a third are candle's matrix kernels for quantised weights, which compress to a third of that.
[ "$bytes" -lt 50000000 ] || echo "over the 50 MB it is meant to stay below" >&2
