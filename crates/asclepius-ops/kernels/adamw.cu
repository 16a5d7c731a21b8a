// AdamW, its moments in f32 or in 8 bits, and what clipping needs. The rules are those of the trainer's `adamw` and
// `adamw8bit`; gradients are f32, values f32, bf16 or f16.

#include "numbers.cuh"
#include "launch.cuh"

// What does not change within a step.
struct Factors {
    // The gradient is multiplied by it: accumulation, clipping.
    float scale;
    // 1 - learning rate times weight decay.
    float keep;
    // 1 - beta of either moment, and the second one's beta.
    float first_share, second_share, second_keep;
    // Learning rate / (1 - beta1^t), sqrt(1 - beta2^t), epsilon.
    float rate, correction, epsilon;
};

__device__ inline float updated(float value, float gradient, float &first, float &second, const Factors &factors) {
    gradient *= factors.scale;
    first += factors.first_share * (gradient - first);
    second = factors.second_keep * second + factors.second_share * gradient * gradient;
    return value * factors.keep - factors.rate * (first / (sqrtf(second) / factors.correction + factors.epsilon));
}

// Rounds to a narrow type: to the nearest, or, where `random` says so, up with the probability that makes the mean exact
// (what small updates need that nearest rounding would lose; Gupta et al., 2015, section 3).
template <typename T>
__device__ inline T stored(float value, bool at_random, uint32_t random) {
    return from_float<T>(value);
}
template <>
__device__ inline bf16 stored<bf16>(float value, bool at_random, uint32_t random) {
    if (!at_random || !isfinite(value)) {
        return from_float<bf16>(value);
    }
    // A bf16 is the upper half of an f32: the lower half decides.
    const uint32_t bits = (uint32_t)__float_as_int(value) + (random & 0xffff);
    return from_float<bf16>(__int_as_float((int)(bits & 0xffff0000u)));
}

template <typename T>
__device__ void adamw(T *value, const float *gradient, float *first, float *second, long long count, Factors factors,
                      int at_random, unsigned long long seed, unsigned long long stream) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) {
        return;
    }
    float m = first[at], v = second[at];
    const float after = updated(to_float(value[at]), gradient[at], m, v, factors);
    first[at] = m;
    second[at] = v;
    const uint32_t random = at_random ? philox(seed, stream, at / 4).word[at % 4] : 0;
    value[at] = stored<T>(after, at_random, random);
}

constexpr int CODES = 256;

// The code of `book` nearest to a number; `midpoints` are where one code's numbers end.
__device__ inline int nearest_code(float value, const float *midpoints) {
    int code = 0;
    for (int half = CODES / 2; half > 0; half /= 2) {
        code += value >= midpoints[code + half - 1] ? half : 0;
    }
    return code;
}

// A block of 256 threads to a block of 256 numbers, which share a scale. `books` are the signed and the unsigned one's
// values, then the midpoints of each: [4, 256].
// Shared: 4 x 256 floats and one of each warp.
template <typename T>
__device__ void adamw_8bit(T *value, const float *gradient, unsigned char *first_codes, float *first_scales,
                           unsigned char *second_codes, float *second_scales, const float *books, long long count,
                           Factors factors, int at_random, unsigned long long seed, unsigned long long stream) {
    float *book = shared<float>();
    float *room = book + 4 * CODES;
    for (int at = threadIdx.x; at < 4 * CODES; at += blockDim.x) {
        book[at] = books[at];
    }
    __syncthreads();
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const bool own = at < count;
    float m = 0, v = 0, after = 0;
    if (own) {
        m = book[first_codes[at]] * first_scales[blockIdx.x];
        v = book[CODES + second_codes[at]] * second_scales[blockIdx.x];
        after = updated(to_float(value[at]), gradient[at], m, v, factors);
    }
    const float first_scale = over_block<Largest>(fabsf(m), room), second_scale = over_block<Largest>(fabsf(v), room);
    if (own) {
        const uint32_t random = at_random ? philox(seed, stream, at / 4).word[at % 4] : 0;
        value[at] = stored<T>(after, at_random, random);
        first_codes[at] = nearest_code(m / (first_scale > 0 ? first_scale : 1.0f), book + 2 * CODES);
        const int code = nearest_code(v / (second_scale > 0 ? second_scale : 1.0f), book + 3 * CODES);
        // A second moment above 0 never becomes 0: the weight would be flung away once its gradient stops.
        second_codes[at] = code == 0 && v > 0 ? 1 : code;
    }
    if (threadIdx.x == 0) {
        first_scales[blockIdx.x] = first_scale;
        second_scales[blockIdx.x] = second_scale;
    }
}

// parts[block] = the sum of squares of the numbers that a block takes, in f64; a NaN or an infinity shows in it.
// Shared: a double of each warp.
template <typename T>
__device__ void square_sum(const T *x, double *parts, long long count) {
    double sum = 0;
    for (long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x; at < count; at += (long long)gridDim.x * blockDim.x) {
        const double value = to_float(x[at]);
        sum += value * value;
    }
    sum = over_block<Sum>(sum, shared<double>());
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = sum;
    }
}

#define ADAMWS(T, name)                                                                                                \
    KERNEL void adamw_##name(T *value, const float *gradient, float *first, float *second, long long count,            \
                             Factors factors, int at_random, unsigned long long seed, unsigned long long stream) {     \
        adamw<T>(value, gradient, first, second, count, factors, at_random, seed, stream);                             \
    }                                                                                                                  \
    EXPORTED(adamw_##name)                                                                                             \
    KERNEL void adamw_8bit_##name(T *value, const float *gradient, unsigned char *first_codes, float *first_scales,    \
                                  unsigned char *second_codes, float *second_scales, const float *books,               \
                                  long long count, Factors factors, int at_random, unsigned long long seed,            \
                                  unsigned long long stream) {                                                         \
        adamw_8bit<T>(value, gradient, first_codes, first_scales, second_codes, second_scales, books, count, factors,  \
                      at_random, seed, stream);                                                                        \
    }                                                                                                                  \
    EXPORTED(adamw_8bit_##name)                                                                                        \
    KERNEL void square_sum_##name(const T *x, double *parts, long long count) { square_sum<T>(x, parts, count); }      \
    EXPORTED(square_sum_##name)
FOR_EACH_TYPE(ADAMWS)
