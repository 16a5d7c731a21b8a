// Rows of scores: the loss over a vocabulary, and attention's weights where FlashAttention has no kernel.

#include "numbers.cuh"
#include "launch.cuh"

constexpr float NOTHING = -3.402823466e+38f;

// losses[row] = logsumexp(z) - z[label] of z = scores + bias, a block to a row of [rows, v]; with `gradient`, the scores
// become (softmax(z) - onehot(label)) factor. `bias` may be null.
// Shared: a float of each warp.
template <typename T>
__device__ void cross_entropy(T *scores, const T *bias, const unsigned *labels, float *losses, int v, int gradient,
                              float factor) {
    float *room = shared<float>();
    scores += (size_t)blockIdx.x * v;
    const int label = labels[blockIdx.x];
    const auto score = [&](int at) { return to_float(scores[at]) + (bias == nullptr ? 0.0f : to_float(bias[at])); };
    float largest = NOTHING;
    for (int at = threadIdx.x; at < v; at += blockDim.x) {
        largest = Largest::of(largest, score(at));
    }
    largest = over_block<Largest>(largest, room);
    float sum = 0;
    for (int at = threadIdx.x; at < v; at += blockDim.x) {
        sum += expf(score(at) - largest);
    }
    sum = over_block<Sum>(sum, room);
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = logf(sum) - (score(label) - largest);
    }
    if (!gradient) {
        return;
    }
    // The label's own score is read above and overwritten below.
    __syncthreads();
    const float inverse = 1.0f / sum;
    for (int at = threadIdx.x; at < v; at += blockDim.x) {
        const float share = expf(score(at) - largest) * inverse;
        scores[at] = from_float<T>((share - (at == label ? 1.0f : 0.0f)) * factor);
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
        cross_entropy<T>(scores, bias, labels, losses, v, gradient, factor);                                           \
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
