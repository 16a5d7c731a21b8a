// What the kernels share: numbers of three types, sums over a block, Philox.
//
// Every kernel here is plain CUDA C++. The same source compiles with an ordinary C++ compiler under host/emulation.hpp,
// where the tests run it against the references; so nothing in it may depend on inline PTX or on libraries.
//
// Sums are taken in an order that depends on sizes alone, never on the card or on which block came first: two runs give
// the same bits. Grids whose size enters a result are given by the caller for that reason.

#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>
#endif

using bf16 = __nv_bfloat16;
using f16 = __half;

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(bf16 value) { return __bfloat162float(value); }
__device__ inline float to_float(f16 value) { return __half2float(value); }

template <typename T>
__device__ inline T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
    return value;
}
template <>
__device__ inline bf16 from_float<bf16>(float value) {
    return __float2bfloat16_rn(value);
}
template <>
__device__ inline f16 from_float<f16>(float value) {
    return __float2half_rn(value);
}

// The number as it is once stored: where a reference rounds between two steps, so does its kernel.
template <typename T>
__device__ inline float rounded(float value) {
    return to_float(from_float<T>(value));
}

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

struct Sum {
    template <typename N>
    static __device__ N of(N a, N b) {
        return a + b;
    }
};

struct Largest {
    template <typename N>
    static __device__ N of(N a, N b) {
        return b > a ? b : a;
    }
};

// Combines a number of every thread; all threads get the result. `room` is shared memory for a number of each warp; the
// block is a whole number of warps. Safe to call again at once with the same room.
template <typename Rule, typename N>
__device__ N over_block(N value, N *room) {
    for (int apart = WARP / 2; apart > 0; apart /= 2) {
        value = Rule::of(value, __shfl_xor_sync(ALL_LANES, value, apart));
    }
    const int warps = blockDim.x / WARP;
    __syncthreads();
    if (threadIdx.x % WARP == 0) {
        room[threadIdx.x / WARP] = value;
    }
    __syncthreads();
    value = room[0];
    for (int warp = 1; warp < warps; warp++) {
        value = Rule::of(value, room[warp]);
    }
    return value;
}

// Philox4x32-10: block `index` of a stream; the crate's `PhiloxKey::block`.
struct Words {
    uint32_t word[4];
};

__device__ inline Words philox(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t a = (uint32_t)index, b = (uint32_t)(index >> 32), c = (uint32_t)stream, d = (uint32_t)(stream >> 32);
    uint32_t low = (uint32_t)seed, high = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t first = (uint64_t)a * 0xD2511F53u, second = (uint64_t)c * 0xCD9E8D57u;
        a = (uint32_t)(second >> 32) ^ b ^ low;
        c = (uint32_t)(first >> 32) ^ d ^ high;
        b = (uint32_t)second;
        d = (uint32_t)first;
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
    return {{a, b, c, d}};
}

// The upper 24 bits as a number in [0, 1).
__device__ inline float to_unit(uint32_t word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

// 16 bytes of numbers, which a thread reads and writes at once: one number at a time a card reaches a third of what its
// memory gives.
template <typename T>
struct alignas(16) Pack {
    static constexpr int COUNT = 16 / sizeof(T);
    T of[COUNT];
};

template <typename T>
__device__ inline bool starts_a_pack(const T *memory) {
    return (uintptr_t)memory % sizeof(Pack<T>) == 0;
}

// Whether rows of d numbers that begin at each of `memory` are whole packs.
template <typename T, typename... Ts>
__device__ inline bool in_packs(int d, const Ts *...memory) {
    return d % Pack<T>::COUNT == 0 && (starts_a_pack(memory) && ...);
}

template <typename T>
__device__ inline const Pack<T> &pack_at(const T *memory) {
    return *(const Pack<T> *)memory;
}

template <typename T>
__device__ inline Pack<T> &pack_at(T *memory) {
    return *(Pack<T> *)memory;
}

// N numbers from `memory` on as floats, and back: a whole pack, or one.
template <typename T, int N>
__device__ inline void read_floats(const T *memory, float *values) {
    if constexpr (N == 1) {
        values[0] = to_float(memory[0]);
    } else {
        const Pack<T> pack = pack_at(memory);
        for (int at = 0; at < N; at++) {
            values[at] = to_float(pack.of[at]);
        }
    }
}

template <typename T, int N>
__device__ inline void write_floats(T *memory, const float *values) {
    if constexpr (N == 1) {
        memory[0] = from_float<T>(values[0]);
    } else {
        Pack<T> pack;
        for (int at = 0; at < N; at++) {
            pack.of[at] = from_float<T>(values[at]);
        }
        pack_at(memory) = pack;
    }
}

// Four numbers in a row, of which `count` are there: at once where memory allows it.
template <typename N>
struct alignas(4 * sizeof(N)) Four {
    N of[4];
};

template <typename N>
__device__ inline Four<N> read_four(const N *memory, int count) {
    if (count == 4 && (uintptr_t)memory % sizeof(Four<N>) == 0) {
        return *(const Four<N> *)memory;
    }
    Four<N> four = {};
    for (int lane = 0; lane < 4 && lane < count; lane++) {
        four.of[lane] = memory[lane];
    }
    return four;
}

template <typename N>
__device__ inline void write_four(N *memory, const Four<N> &four, int count) {
    if (count == 4 && (uintptr_t)memory % sizeof(Four<N>) == 0) {
        *(Four<N> *)memory = four;
        return;
    }
    for (int lane = 0; lane < 4 && lane < count; lane++) {
        memory[lane] = four.of[lane];
    }
}

// One instance of a kernel for each type of number, under names that can be asked for.
#define FOR_EACH_TYPE(INSTANCE) \
    INSTANCE(float, f32)        \
    INSTANCE(bf16, bf16)        \
    INSTANCE(f16, f16)
