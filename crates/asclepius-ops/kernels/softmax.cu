// Rows of scores: the loss over a vocabulary, and attention's weights where FlashAttention has no kernel.

#include "numbers.cuh"
#include "launch.cuh"

constexpr float NOTHING = -3.402823466e+38f;

// losses[row] = logsumexp(z) - z[label] of z = scores + bias, a block to a row of [rows, v]; with `gradient`, the scores
// become (softmax(z) - onehot(label)) factor. `bias` may be null.
// A thread takes N scores at a time.
// Shared: a float of each warp.
template <typename T, int N>
__device__ void cross_entropy(T *scores, const T *bias, const unsigned *labels, float *losses, int v, int gradient,
                              float factor) {
    float *room = shared<float>();
    scores += (size_t)blockIdx.x * v;
    const int label = labels[blockIdx.x];
    float values[N], offsets[N];
    const auto read = [&](int at) {
        read_floats<T, N>(scores + at, values);
        if (bias != nullptr) {
            read_floats<T, N>(bias + at, offsets);
            for (int lane = 0; lane < N; lane++) {
                values[lane] += offsets[lane];
            }
        }
    };
    float largest = NOTHING;
    for (int at = threadIdx.x * N; at < v; at += blockDim.x * N) {
        read(at);
        for (int lane = 0; lane < N; lane++) {
            largest = Largest::of(largest, values[lane]);
        }
    }
    largest = over_block<Largest>(largest, room);
    float sum = 0;
    for (int at = threadIdx.x * N; at < v; at += blockDim.x * N) {
        read(at);
        for (int lane = 0; lane < N; lane++) {
            sum += expf(values[lane] - largest);
        }
    }
    sum = over_block<Sum>(sum, room);
    if (threadIdx.x == 0) {
        const float score = to_float(scores[label]) + (bias == nullptr ? 0.0f : to_float(bias[label]));
        losses[blockIdx.x] = logf(sum) - (score - largest);
    }
    if (!gradient) {
        return;
    }
    // The label's own score is read above and overwritten below.
    __syncthreads();
    const float inverse = 1.0f / sum;
    for (int at = threadIdx.x * N; at < v; at += blockDim.x * N) {
        read(at);
        for (int lane = 0; lane < N; lane++) {
            values[lane] = (expf(values[lane] - largest) * inverse - (at + lane == label ? 1.0f : 0.0f)) * factor;
        }
        write_floats<T, N>(scores + at, values);
    }
}

// Attention's weights in place: row r of scores [heads, queries, keys] (a block to a row) becomes softmax(scale z) over the
// keys from..to that its query sees, and 0 outside. Query q sees keys up to first + q, `window` of them at most (0: all).
// Shared: a float of each warp.
template <typename T>
__device__ void masked_softmax(T *scores, int queries, int keys, int first, int window, float scale) {
    float *room = shared<float>();
    scores += (size_t)blockIdx.x * keys;
    const int to = first + (int)(blockIdx.x % queries) + 1;
    const int from = window > 0 && to > window ? to - window : 0;
    float largest = NOTHING;
    for (int at = from + threadIdx.x; at < to; at += blockDim.x) {
        largest = Largest::of(largest, to_float(scores[at]));
    }
    largest = over_block<Largest>(largest, room);
    float sum = 0;
    for (int at = from + threadIdx.x; at < to; at += blockDim.x) {
        sum += expf((to_float(scores[at]) - largest) * scale);
    }
    const float inverse = 1.0f / over_block<Sum>(sum, room);
    for (int at = threadIdx.x; at < keys; at += blockDim.x) {
        const bool seen = at >= from && at < to;
        scores[at] = from_float<T>(seen ? expf((to_float(scores[at]) - largest) * scale) * inverse : 0.0f);
    }
}

// dz = scale p (dp - sum(dp p)) in place of dp, a block to a row of [rows, keys]: outside of what a query sees p is 0, and
// so is dz.
// Shared: a float of each warp.
template <typename T>
__device__ void masked_softmax_backward(const T *p, T *dp, int keys, float scale) {
    float *room = shared<float>();
    p += (size_t)blockIdx.x * keys;
    dp += (size_t)blockIdx.x * keys;
    float sum = 0;
    for (int at = threadIdx.x; at < keys; at += blockDim.x) {
        sum += to_float(dp[at]) * to_float(p[at]);
    }
    sum = over_block<Sum>(sum, room);
    for (int at = threadIdx.x; at < keys; at += blockDim.x) {
        dp[at] = from_float<T>(scale * to_float(p[at]) * (to_float(dp[at]) - sum));
    }
}

#define SOFTMAXES(T, name)                                                                                             \
    KERNEL void cross_entropy_##name(T *scores, const T *bias, const unsigned *labels, float *losses, int v,           \
                                     int gradient, float factor) {                                                     \
        if (in_packs<T>(v, scores, bias)) {                                                                            \
            cross_entropy<T, Pack<T>::COUNT>(scores, bias, labels, losses, v, gradient, factor);                       \
        } else {                                                                                                       \
            cross_entropy<T, 1>(scores, bias, labels, losses, v, gradient, factor);                                    \
        }                                                                                                              \
    }                                                                                                                  \
    EXPORTED(cross_entropy_##name)                                                                                     \
    KERNEL void masked_softmax_##name(T *scores, int queries, int keys, int first, int window, float scale) {          \
        masked_softmax<T>(scores, queries, keys, first, window, scale);                                                \
    }                                                                                                                  \
    EXPORTED(masked_softmax_##name)                                                                                    \
    KERNEL void masked_softmax_backward_##name(const T *p, T *dp, int keys, float scale) {                             \
        masked_softmax_backward<T>(p, dp, keys, scale);                                                                \
    }                                                                                                                  \
    EXPORTED(masked_softmax_backward_##name)
FOR_EACH_TYPE(SOFTMAXES)
