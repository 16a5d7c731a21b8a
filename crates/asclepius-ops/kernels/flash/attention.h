// FlashAttention over documents laid end to end: what a call is given, and how its kernels are launched.
//
// The kernels are those of FlashAttention-2 (Dao, 2023) and, on Hopper and without a window, FlashAttention-3 (Shah et al.,
// 2024), from source distributions. Their launchers choose among many variants at run time and want PyTorch's headers;
// here every variant is a file's own (variant.cu, hopper.cu), and only those are compiled that training needs: causal, with
// a sliding window or without, no dropout, a way back that adds in the same order every time.
#pragma once

#include <cstdint>

#include <cuda_runtime.h>

// As `FlashCall` of src/gpu/flash.rs. Everything is contiguous: queries [tokens, heads, size], keys and values
// [key tokens, key_heads, size].
struct FlashCall {
    const void *q, *k, *v;
    void *output;
    // [heads, tokens], f32: the log of each softmax's divisor.
    float *log_sums;
    // [documents + 1], cumulative lengths.
    const int *query_ends, *key_ends;
    // For the way back: the gradient of the output, and those of q [tokens, heads, size], k and v
    // [key tokens, FlashRoom::gradient_heads, size].
    const void *d_output;
    void *d_q, *d_k, *d_v;
    // Memory for the time of the call, as much as `FlashRoom` says: bytes that are zero, and others.
    void *zeros, *room;
    int documents, longest_query, longest_key, tokens, key_tokens, heads, key_heads, size, splits;
    // How many keys before its own a query sees; below 0: all.
    int window;
    float scale;
};

// What a way of a call wants beside its arguments; as `FlashRoom` of src/gpu/flash.rs.
struct FlashRoom {
    int64_t zeros, room;
    // Blocks that share a document's keys on the way back, for `FlashCall::splits`.
    int splits;
    // Heads that gradients of k and v are written for: `heads`, which the caller adds by groups, or `key_heads`.
    int gradient_heads;
};

constexpr int ceiling(int count, int by) { return (count + by - 1) / by; }

// Pieces of one stretch of memory, one behind the other; of none, only how many bytes they are.
struct Pieces {
    uintptr_t next, bytes = 0;

    explicit Pieces(const void *start = nullptr) : next(reinterpret_cast<uintptr_t>(start)) {}

    template <typename T> T *take(int64_t count) {
        const uintptr_t piece = next, room = (uintptr_t(count) * sizeof(T) + 255) / 256 * 256;
        next += room;
        bytes += room;
        return reinterpret_cast<T *>(piece);
    }
};
