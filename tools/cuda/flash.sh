# shellcheck shell=bash
# Sourced by build.sh, with `out` and the toolkit set: FlashAttention's kernels as libasclepius_flash.a in target/cuda/flash-CC.
# Each variant is a file of its own, compiled again when its source here or this file has changed: together they take a quarter
# of an hour of one processor.

# As kernels/flash/dispatch.cu has them. Windows, and all on cards that are not Hopper, are FlashAttention-2's; compute
# capability 9.0 has FlashAttention-3 for the rest.
FLASH_SIZES="64 80 96 128"
FLASH_HOPPER_SIZES="64 96 128"

flash_attention() {
    # They want Ampere; before it attention runs in plain products.
    [ "$CUDA_COMPUTE_CAP" -ge 80 ] || return 0
    export FLASH_OUT=$out/flash-$CUDA_COMPUTE_CAP FLASH_KERNELS=$PWD/crates/asclepius-ops/kernels/flash
    export FLASH_TWO=$out/flash-attention FLASH_THREE=$out/flash-attention-3
    "${PYTHON:-python3}" tools/cuda/flash_attention.py 2 "$FLASH_TWO"
    [ "$CUDA_COMPUTE_CAP" != 90 ] || "${PYTHON:-python3}" tools/cuda/flash_attention.py 3 "$FLASH_THREE"
    export FLASH_FLAGS="-c -std=c++17 -O3 --compress-mode=size -DNDEBUG
        -U__CUDA_NO_HALF_OPERATORS__ -U__CUDA_NO_HALF_CONVERSIONS__ -U__CUDA_NO_HALF2_OPERATORS__
        -U__CUDA_NO_BFLOAT16_CONVERSIONS__ --expt-relaxed-constexpr --expt-extended-lambda --use_fast_math
        -Xcompiler -fPIC,-Wno-deprecated-declarations -DFLASH_CAPABILITY=$CUDA_COMPUTE_CAP -I$FLASH_KERNELS"
    mkdir -p "$FLASH_OUT"
    variants | xargs -P "${FLASH_JOBS:-$(nproc)}" -I{} bash -c 'set -euo pipefail; . tools/cuda/flash.sh; flash_variant {}'
    rm -f "$FLASH_OUT/libasclepius_flash.a"
    variants | sed "s|.*|$FLASH_OUT/&.o|" | xargs ar rcs "$FLASH_OUT/libasclepius_flash.a"
    export ASCLEPIUS_FLASH_ATTENTION=$FLASH_OUT
}

# What is compiled: dispatch, and flash_WAY_SIZE_WINDOW; on Hopper what hands out FlashAttention-3's blocks, too.
variants() {
    local size whole=$FLASH_SIZES
    echo dispatch
    if [ "$CUDA_COMPUTE_CAP" = 90 ]; then
        whole=$FLASH_HOPPER_SIZES
        echo flash_prepare
    fi
    for size in $whole; do
        echo "flash_backward_${size}_0"
        echo "flash_forward_${size}_0"
    done
    for size in $FLASH_SIZES; do
        echo "flash_backward_${size}_1"
        echo "flash_forward_${size}_1"
    done
}

# One of them.
flash_variant() {
    local name=$1 object=$FLASH_OUT/$1.o source window=${1##*_} size=${1%_*} backward=0 target=$CUDA_COMPUTE_CAP
    case $name in *backward*) backward=1 ;; esac
    local includes="-I$FLASH_KERNELS/shim -I$FLASH_TWO/csrc/cutlass/include -I$FLASH_TWO/csrc/flash_attn/src" defines=
    case $CUDA_COMPUTE_CAP-$name in
        *-dispatch) source=$FLASH_KERNELS/dispatch.cu ;;
        *-flash_prepare) source=$FLASH_THREE/hopper/flash_prepare_scheduler.cu ;;
        90-flash_*_0) source=$FLASH_KERNELS/hopper.cu ;;
        *) source=$FLASH_KERNELS/variant.cu ;;
    esac
    case $name in
        flash_*_*_[01]) defines="-DFLASH_NAME=$name -DFLASH_SIZE=${size##*_} -DFLASH_WINDOW=$window -DFLASH_BACKWARD=$backward" ;;
    esac
    case $source in
        */hopper.cu | */flash_prepare_scheduler.cu)
            # The a: instructions that only this capability has.
            target+=a
            includes="-I$FLASH_THREE/csrc/cutlass/include -I$FLASH_THREE/hopper"
            ;;
    esac
    [ "$object" -nt "$source" ] && [ "$object" -nt "$FLASH_KERNELS/attention.h" ] && [ "$object" -nt tools/cuda/flash.sh ] && return
    echo "   Compiling $name"
    # shellcheck disable=SC2086 # flags are words
    "$NVCC" $FLASH_FLAGS -gencode "arch=compute_$target,code=sm_$target" $includes $defines "$source" -o "$object.part"
    mv "$object.part" "$object"
}
