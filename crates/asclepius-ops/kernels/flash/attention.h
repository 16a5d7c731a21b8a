// FlashAttention-2 (Dao, 2023) over documents laid end to end: what a call is given, and how its kernels are launched.
//
// The kernels are those of the flash-attn source distribution. Its launchers choose among many variants at run time and
// want PyTorch's headers; here every variant is a file's own (see variant.cu), and only those are compiled that training
// needs: causal, with a sliding window or without, no dropout, the way back without atomic sums.
#pragma once

#include <cstdint>

#include <cuda_runtime.h>

// As `FlashCall` of src/gpu/flash/linked.rs. Everything is contiguous: queries [tokens, heads, size], keys and values
// [key tokens, key_heads, size].
struct FlashCall {
    const void *q, *k, *v;
    void *output;
    // [heads, tokens], f32: the log of each softmax's divisor.
    float *log_sums;
    // [documents + 1], cumulative lengths.
    const int *query_ends, *key_ends;
    // For the way back: the gradient of the output, and those of q [tokens, heads, size], k and v [key tokens, heads, size],
    // one for each query head.
    const void *d_output;
    void *d_q, *d_k, *d_v;
    // [splits, tokens + 128 documents, heads, size rounded up to 32], f32, zero; `splits` is what asclepius_flash_splits says.
    float *d_q_sums;
    // [heads, tokens + 128 documents], f32.
    float *row_sums;
    int documents, longest_query, longest_key, tokens, heads, key_heads, size, splits;
    // How many keys before its own a query sees; below 0: all.
    int window;
    float scale;
};

constexpr int ceiling(int count, int by) { return (count + by - 1) / by; }
