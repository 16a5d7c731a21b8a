// Rotary position embedding, a thread to a number of the result.

#include "numbers.cuh"
#include "launch.cuh"

// x, y [t, h, d]; cos, sin [t, half]. Pairs are features i and i + half, or, interleaved, 2i and 2i + 1; features from
// 2 half on pass. `sign` is 1, and -1 on the way back, which turns by the opposite angles.
template <typename T>
__device__ void rope(const T *x, const T *cos, const T *sin, T *y, long long count, int h, int d, int half,
                     int interleaved, float sign) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= count) {
        return;
    }
    const int feature = at % d;
    if (feature >= 2 * half) {
        y[at] = x[at];
        return;
    }
    const bool second = interleaved ? feature % 2 == 1 : feature >= half;
    const int pair = interleaved ? feature / 2 : feature % half, apart = interleaved ? 1 : half;
    const long long token = at / ((long long)h * d), angle = token * half + pair;
    const float own = to_float(x[at]), other = to_float(x[second ? at - apart : at + apart]);
    const float turned = sign * to_float(sin[angle]) * other;
    y[at] = from_float<T>(own * to_float(cos[angle]) + (second ? turned : -turned));
}

#define ROPES(T, name)                                                                                                 \
    KERNEL void rope_##name(const T *x, const T *cos, const T *sin, T *y, long long count, int h, int d, int half,     \
                            int interleaved, float sign) {                                                             \
        rope<T>(x, cos, sin, y, count, h, d, half, interleaved, sign);                                                 \
    }                                                                                                                  \
    EXPORTED(rope_##name)
FOR_EACH_TYPE(ROPES)
