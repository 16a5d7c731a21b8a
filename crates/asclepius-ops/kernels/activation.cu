// SwiGLU, GELU, dropout and sums, a thread to a number.

#include "numbers.cuh"
#include "launch.cuh"

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// Where a thread's numbers are, a pack of them; less at the end, or one after the other where memory does not begin at a
// whole pack.
struct Share {
    long long from, to;
    bool packed;
};

template <typename T, typename... Ts>
__device__ Share share_of(long long count, const Ts *...memory) {
    const long long from = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * Pack<T>::COUNT;
    const long long to = from + Pack<T>::COUNT < count ? from + Pack<T>::COUNT : count;
    return {from, to, to - from == Pack<T>::COUNT && (starts_a_pack(memory) && ...)};
}

// y = f(a, b), number by number; y may be a or b.
template <typename T, typename F>
__device__ void map_pairs(const T *a, const T *b, T *y, long long count, F f) {
    const Share share = share_of<T>(count, a, b, y);
    if (share.packed) {
        const Pack<T> left = pack_at(a + share.from), right = pack_at(b + share.from);
        Pack<T> result;
        for (int at = 0; at < Pack<T>::COUNT; at++) {
            result.of[at] = f(left.of[at], right.of[at]);
        }
        pack_at(y + share.from) = result;
        return;
    }
    for (long long at = share.from; at < share.to; at++) {
        y[at] = f(a[at], b[at]);
    }
}

// y = silu(gate) up.
template <typename T>
__device__ void swiglu_forward(const T *gate, const T *up, T *y, long long count) {
    map_pairs(gate, up, y, count, [](T gate, T up) {
        const float x = to_float(gate);
        return from_float<T>(rounded<T>(x * sigmoid(x)) * to_float(up));
    });
}

// dup = dy silu(gate), dgate = dy up s (1 + gate (1 - s)) with s = sigmoid(gate).
template <typename T>
__device__ void swiglu_slopes(T gate, T up, T dy, T &dgate, T &dup) {
    const float x = to_float(gate), gradient = to_float(dy), s = sigmoid(x);
    dgate = from_float<T>(gradient * to_float(up) * s * (1.0f + x * (1.0f - s)));
    dup = from_float<T>(gradient * x * s);
}

// Either gradient may be written over its input.
template <typename T>
__device__ void swiglu_backward(const T *gate, const T *up, const T *dy, T *dgate, T *dup, long long count) {
    const Share share = share_of<T>(count, gate, up, dy, dgate, dup);
    if (share.packed) {
        const Pack<T> gates = pack_at(gate + share.from), ups = pack_at(up + share.from), dys = pack_at(dy + share.from);
        Pack<T> dgates, dups;
        for (int at = 0; at < Pack<T>::COUNT; at++) {
            swiglu_slopes<T>(gates.of[at], ups.of[at], dys.of[at], dgates.of[at], dups.of[at]);
        }
        pack_at(dgate + share.from) = dgates;
        pack_at(dup + share.from) = dups;
        return;
    }
    for (long long at = share.from; at < share.to; at++) {
        swiglu_slopes<T>(gate[at], up[at], dy[at], dgate[at], dup[at]);
    }
}

// y = a + b; y may be either.
template <typename T>
__device__ void sum_pair(const T *a, const T *b, T *y, long long count) {
    map_pairs(a, b, y, count, [](T a, T b) { return from_float<T>(to_float(a) + to_float(b)); });
}

constexpr float ROOT_2_OVER_PI = 0.797884560802865f;
constexpr float CUBE = 0.044715f;

// The share of x that passes, and its derivative: by the error function, or by its approximation with tanh.
struct Gate {
    float share, slope;
};

__device__ inline Gate gelu_gate(float x, int by_tanh) {
    if (by_tanh) {
        const float t = tanhf(ROOT_2_OVER_PI * (x + CUBE * x * x * x));
        return {0.5f * (1.0f + t), 0.5f * (1.0f - t * t) * ROOT_2_OVER_PI * (1.0f + 3.0f * CUBE * x * x)};
    }
    // The density of a normal: the slope of its distribution.
    return {0.5f * (1.0f + erff(x * 0.707106781186548f)), 0.398942280401433f * expf(-0.5f * x * x)};
}

template <typename T>
__device__ void gelu_forward(const T *x, T *y, long long count, int by_tanh) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) {
        const float value = to_float(x[at]);
        y[at] = from_float<T>(value * gelu_gate(value, by_tanh).share);
    }
}

template <typename T>
__device__ void gelu_backward(const T *x, const T *dy, T *dx, long long count, int by_tanh) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) {
        const float value = to_float(x[at]);
        const Gate gate = gelu_gate(value, by_tanh);
        dx[at] = from_float<T>(to_float(dy[at]) * (gate.share + value * gate.slope));
    }
}

// Four numbers a thread, a block of Philox: zero where the uniform number is below p, else by 1 / (1 - p). Its own way
// back, with the gradient for x.
template <typename T>
__device__ void dropout(const T *x, T *y, long long count, float p, unsigned long long seed, unsigned long long stream) {
    const long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * block >= count) {
        return;
    }
    const Words words = philox(seed, stream, block);
    const float keep = rounded<T>(1.0f / (1.0f - p));
    for (int lane = 0; lane < 4 && 4 * block + lane < count; lane++) {
        const long long at = 4 * block + lane;
        y[at] = from_float<T>(to_unit(words.word[lane]) < p ? 0.0f : to_float(x[at]) * keep);
    }
}

// target += source.
template <typename T>
__device__ void add(float *target, const T *source, long long count) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) {
        target[at] += to_float(source[at]);
    }
}

// x [groups, each, d] -> y [groups, d]: what a group's query heads want of the key head that they share.
template <typename T>
__device__ void sum_groups(const T *x, T *y, long long count, int each, int d) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) {
        const T *column = x + at / d * each * d + at % d;
        float sum = 0.0f;
        for (int row = 0; row < each; row++) {
            sum += to_float(column[(long long)row * d]);
        }
        y[at] = from_float<T>(sum);
    }
}

#define ACTIVATIONS(T, name)                                                                                           \
    KERNEL void swiglu_forward_##name(const T *gate, const T *up, T *y, long long count) {                             \
        swiglu_forward<T>(gate, up, y, count);                                                                         \
    }                                                                                                                  \
    EXPORTED(swiglu_forward_##name)                                                                                    \
    KERNEL void swiglu_backward_##name(const T *gate, const T *up, const T *dy, T *dgate, T *dup, long long count) {   \
        swiglu_backward<T>(gate, up, dy, dgate, dup, count);                                                           \
    }                                                                                                                  \
    EXPORTED(swiglu_backward_##name)                                                                                   \
    KERNEL void gelu_forward_##name(const T *x, T *y, long long count, int by_tanh) {                                  \
        gelu_forward<T>(x, y, count, by_tanh);                                                                         \
    }                                                                                                                  \
    EXPORTED(gelu_forward_##name)                                                                                      \
    KERNEL void gelu_backward_##name(const T *x, const T *dy, T *dx, long long count, int by_tanh) {                   \
        gelu_backward<T>(x, dy, dx, count, by_tanh);                                                                   \
    }                                                                                                                  \
    EXPORTED(gelu_backward_##name)                                                                                     \
    KERNEL void dropout_##name(const T *x, T *y, long long count, float p, unsigned long long seed,                    \
                               unsigned long long stream) {                                                            \
        dropout<T>(x, y, count, p, seed, stream);                                                                      \
    }                                                                                                                  \
    EXPORTED(dropout_##name)                                                                                           \
    KERNEL void add_##name(float *target, const T *source, long long count) { add<T>(target, source, count); }         \
    EXPORTED(add_##name)                                                                                               \
    KERNEL void sum_pair_##name(const T *a, const T *b, T *y, long long count) { sum_pair<T>(a, b, y, count); }        \
    EXPORTED(sum_pair_##name)                                                                                          \
    KERNEL void sum_groups_##name(const T *x, T *y, long long count, int each, int d) {                                \
        sum_groups<T>(x, y, count, each, d);                                                                           \
    }                                                                                                                  \
    EXPORTED(sum_groups_##name)
FOR_EACH_TYPE(ACTIVATIONS)
