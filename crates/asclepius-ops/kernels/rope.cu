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

// The same of halves, a pack at a time: a thread turns a pack of each half, or passes one on. `count` threads; half and
// d - 2 half are whole packs, and so does all memory begin.
template <typename T>
__device__ void rope_packed(const T *x, const T *cos, const T *sin, T *y, long long count, int h, int d, int half,
                            float sign) {
    constexpr int N = Pack<T>::COUNT;
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= count) {
        return;
    }
    const int turning = half / N, parts = turning + (d - 2 * half) / N;
    const long long head = thread / parts;
    const int part = thread % parts;
    if (part >= turning) {
        const long long at = head * d + 2 * half + (part - turning) * N;
        pack_at(y + at) = pack_at(x + at);
        return;
    }
    const long long at = head * d + part * N, angle = head / h * half + part * N;
    float first[N], second[N], cosines[N], sines[N];
    read_floats<T, N>(x + at, first);
    read_floats<T, N>(x + at + half, second);
    read_floats<T, N>(cos + angle, cosines);
    read_floats<T, N>(sin + angle, sines);
    for (int lane = 0; lane < N; lane++) {
        const float a = first[lane], b = second[lane], turn = sign * sines[lane];
        first[lane] = a * cosines[lane] - turn * b;
        second[lane] = b * cosines[lane] + turn * a;
    }
    write_floats<T, N>(y + at, first);
    write_floats<T, N>(y + at + half, second);
}

#define ROPES(T, name)                                                                                                 \
    KERNEL void rope_##name(const T *x, const T *cos, const T *sin, T *y, long long count, int h, int d, int half,     \
                            int interleaved, float sign) {                                                             \
        rope<T>(x, cos, sin, y, count, h, d, half, interleaved, sign);                                                 \
    }                                                                                                                  \
    EXPORTED(rope_##name)                                                                                              \
    KERNEL void rope_packed_##name(const T *x, const T *cos, const T *sin, T *y, long long count, int h, int d,        \
                                   int half, float sign) {                                                             \
        rope_packed<T>(x, cos, sin, y, count, h, d, half, sign);                                                       \
    }                                                                                                                  \
    EXPORTED(rope_packed_##name)
FOR_EACH_TYPE(ROPES)
