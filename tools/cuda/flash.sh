# shellcheck shell=bash
# Sourced by build.sh, with `out` and the toolkit set: FlashAttention's kernels as target/cuda/flash/libasclepius_flash.a.
# Each variant is a file of its own, compiled again only when a source has changed: together they take half an hour of one
# processor.

# As FLASH_FOR_EACH_SIZE in kernels/flash/dispatch.cu.
FLASH_SIZES="64 80 96 128"

flash_attention() {
    # They want Ampere; before it attention runs in plain products.
    [ "$CUDA_COMPUTE_CAP" -ge 80 ] || return 0
    local sources=$out/flash-attention kernels=$PWD/crates/asclepius-ops/kernels/flash
    [ -d "$sources/csrc/flash_attn" ] || "${PYTHON:-python3}" tools/cuda/flash_attention.py "$sources"
    export FLASH_OUT=$out/flash-$CUDA_COMPUTE_CAP FLASH_KERNELS=$kernels
    export FLASH_FLAGS="-c -std=c++17 -O3 --compress-mode=size -gencode arch=compute_$CUDA_COMPUTE_CAP,code=sm_$CUDA_COMPUTE_CAP
        -U__CUDA_NO_HALF_OPERATORS__ -U__CUDA_NO_HALF_CONVERSIONS__ -U__CUDA_NO_HALF2_OPERATORS__
        -U__CUDA_NO_BFLOAT16_CONVERSIONS__ --expt-relaxed-constexpr --expt-extended-lambda --use_fast_math
        -Xcompiler -fPIC,-Wno-deprecated-declarations -DFLASH_CAPABILITY=$CUDA_COMPUTE_CAP
        -I$kernels/shim -I$kernels -I$sources/csrc/cutlass/include -I$sources/csrc/flash_attn/src"
    mkdir -p "$FLASH_OUT"
    {
        echo dispatch
        for window in 0 1; do
            for size in $FLASH_SIZES; do
                echo "flash_backward_${size}_$window"
                echo "flash_forward_${size}_$window"
            done
        done
    } | xargs -P "${FLASH_JOBS:-$(nproc)}" -I{} bash -c 'set -euo pipefail; . tools/cuda/flash.sh; flash_variant {}'
    rm -f "$FLASH_OUT/libasclepius_flash.a"
    ar rcs "$FLASH_OUT/libasclepius_flash.a" "$FLASH_OUT"/*.o
    export ASCLEPIUS_FLASH_ATTENTION=$FLASH_OUT
}

# One file, by its name: dispatch, or flash_WAY_SIZE_WINDOW.
flash_variant() {
    local name=$1 object=$FLASH_OUT/$1.o source=dispatch.cu window size defines=
    if [ "$name" != dispatch ]; then
        window=${name##*_}
        size=${name%_*}
        source=variant.cu
        defines="-DFLASH_NAME=$name -DFLASH_SIZE=${size##*_} -DFLASH_WINDOW=$window"
        case $name in
            *backward*) defines+=" -DFLASH_BACKWARD=1" ;;
            *) defines+=" -DFLASH_BACKWARD=0" ;;
        esac
    fi
    [ "$object" -nt "$FLASH_KERNELS/$source" ] && [ "$object" -nt "$FLASH_KERNELS/attention.h" ] && return
    echo "   Compiling $name"
    # shellcheck disable=SC2086 # flags are words
    "$NVCC" $FLASH_FLAGS $defines "$FLASH_KERNELS/$source" -o "$object.part"
    mv "$object.part" "$object"
}
