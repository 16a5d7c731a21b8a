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

// Four numbers a thread: a block of Philox rounds all of them.
template <typename T>
__device__ void adamw(T *value, const float *gradient, float *first, float *second, long long count, Factors factors,
                      int at_random, unsigned long long seed, unsigned long long stream) {
    const long long at = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
    if (at >= count) {
        return;
    }
    const int own = count - at < 4 ? (int)(count - at) : 4;
    Four<T> values = read_four(value + at, own);
    const Four<float> gradients = read_four(gradient + at, own);
    Four<float> m = read_four(first + at, own), v = read_four(second + at, own);
    const Words random = at_random ? philox(seed, stream, at / 4) : Words{};
    for (int lane = 0; lane < 4; lane++) {
        const float after = updated(to_float(values.of[lane]), gradients.of[lane], m.of[lane], v.of[lane], factors);
        values.of[lane] = stored<T>(after, at_random, random.word[lane]);
    }
    write_four(value + at, values, own);
    write_four(first + at, m, own);
    write_four(second + at, v, own);
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

// Threads that share a block of 256 numbers, four each.
constexpr int TOGETHER = CODES / 4;

// The largest of the threads that share a block of numbers; `room` is a float of each warp.
__device__ inline float largest_together(float value, float *room) {
    for (int apart = WARP / 2; apart > 0; apart /= 2) {
        value = Largest::of(value, __shfl_xor_sync(ALL_LANES, value, apart));
    }
    const int warp = threadIdx.x / WARP, first = warp - warp % (TOGETHER / WARP);
    __syncthreads();
    if (threadIdx.x % WARP == 0) {
        room[warp] = value;
    }
    __syncthreads();
    value = room[first];
    for (int other = 1; other < TOGETHER / WARP; other++) {
        value = Largest::of(value, room[first + other]);
    }
    return value;
}

// Blocks of 256 numbers share a scale, and 64 threads a block of numbers; a block of threads, whole such groups, takes the
// next numbers when it is done with its first, since reading the books costs as much as a block of numbers. `books` are the
// signed and the unsigned one's values, then the midpoints of each: [4, 256].
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
    for (long long start = (long long)blockIdx.x * blockDim.x * 4; start < count;
         start += (long long)gridDim.x * blockDim.x * 4) {
        const long long at = start + 4 * threadIdx.x, block = at / CODES;
        const int own = at >= count ? 0 : count - at < 4 ? (int)(count - at) : 4;
        Four<T> values = read_four(value + at, own);
        const Four<float> gradients = read_four(gradient + at, own);
        Four<unsigned char> m_codes = read_four(first_codes + at, own), v_codes = read_four(second_codes + at, own);
        const float m_before = own > 0 ? first_scales[block] : 0, v_before = own > 0 ? second_scales[block] : 0;
        const Words random = at_random ? philox(seed, stream, at / 4) : Words{};
        float m[4], v[4], m_largest = 0, v_largest = 0;
        for (int lane = 0; lane < own; lane++) {
            m[lane] = book[m_codes.of[lane]] * m_before;
            v[lane] = book[CODES + v_codes.of[lane]] * v_before;
            const float after = updated(to_float(values.of[lane]), gradients.of[lane], m[lane], v[lane], factors);
            values.of[lane] = stored<T>(after, at_random, random.word[lane]);
            m_largest = Largest::of(m_largest, fabsf(m[lane]));
            v_largest = Largest::of(v_largest, fabsf(v[lane]));
        }
        const float m_scale = largest_together(m_largest, room), v_scale = largest_together(v_largest, room);
        for (int lane = 0; lane < own; lane++) {
            m_codes.of[lane] = nearest_code(m[lane] / (m_scale > 0 ? m_scale : 1.0f), book + 2 * CODES);
            const int code = nearest_code(v[lane] / (v_scale > 0 ? v_scale : 1.0f), book + 3 * CODES);
            // A second moment above 0 never becomes 0: the weight would be flung away once its gradient stops.
            v_codes.of[lane] = code == 0 && v[lane] > 0 ? 1 : code;
        }
        write_four(value + at, values, own);
        write_four(first_codes + at, m_codes, own);
        write_four(second_codes + at, v_codes, own);
        if (own > 0 && threadIdx.x % TOGETHER == 0) {
            first_scales[block] = m_scale;
            second_scales[block] = v_scale;
        }
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
