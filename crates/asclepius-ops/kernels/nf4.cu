// NF4 with double quantisation; the layout and the rounding are those of the crate's `nf4`.

#include "numbers.cuh"
#include "launch.cuh"

constexpr int NUMBERS = 64;  // that share a scale
constexpr int SCALES = 256;  // that share a scale of their own

__device__ inline float quantile(int code) {
    constexpr float QUANTILES[16] = {-1.0f,         -0.6961928f,  -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f,
                                     -0.091050036f, 0.0f,         0.0795803f,   0.1609302f,  0.2461123f,   0.33791524f,
                                     0.44070983f,   0.562617f,    0.72295684f,  1.0f};
    return QUANTILES[code];
}

// The code nearest to a number in -1 to 1; a NaN, as a block of zeros has them, is 0's.
__device__ inline int nearest_quantile(float value) {
    int code = 0;
    for (int half = 8; half > 0; half /= 2) {
        const int at = code + half - 1;
        code += value > (quantile(at) + quantile(at + 1)) * 0.5f ? half : 0;
    }
    return value != value ? 7 : code;
}

// codes, [ceil(count / 2)], the first of a pair in the high half; scales, [ceil(count / 64)], the largest magnitude of
// each block. A warp to a block of numbers, two to a lane.
template <typename T>
__device__ void nf4_quantise(const T *x, unsigned char *codes, float *scales, long long count) {
    const long long warp = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    const long long at = warp * NUMBERS + 2 * (threadIdx.x % WARP);
    const float first = at < count ? to_float(x[at]) : 0.0f, second = at + 1 < count ? to_float(x[at + 1]) : 0.0f;
    float scale = Largest::of(fabsf(first), fabsf(second));
    for (int apart = WARP / 2; apart > 0; apart /= 2) {
        scale = Largest::of(scale, __shfl_xor_sync(ALL_LANES, scale, apart));
    }
    const float inverse = 1.0f / scale;
    if (at < count) {
        codes[at / 2] = (unsigned char)(nearest_quantile(first * inverse) << 4 | nearest_quantile(second * inverse));
        if (threadIdx.x % WARP == 0) {
            scales[warp] = scale;
        }
    }
}

// codes and one f32 for each 256 scales, of the scales less their offset; `midpoints` are the signed book's, [256]. A block
// of 256 threads to a block of scales.
// Shared: a float of each warp.
KERNEL void nf4_quantise_scales(const float *scales, float offset, const float *midpoints, unsigned char *codes,
                                float *scale_scales, int count) {
    const int at = blockIdx.x * SCALES + threadIdx.x;
    const float centred = at < count ? scales[at] - offset : 0.0f;
    const float largest = over_block<Largest>(fabsf(centred), shared<float>());
    if (at < count) {
        int code = 0;
        for (int half = 128; half > 0; half /= 2) {
            code += centred / largest >= midpoints[code + half - 1] ? half : 0;
        }
        codes[at] = largest > 0 ? code : 0;
    }
    if (threadIdx.x == 0) {
        scale_scales[blockIdx.x] = largest;
    }
}
EXPORTED(nf4_quantise_scales)

// The numbers again, eight to a thread; `book` is the signed one, [256].
// Shared: 16 floats.
template <typename T>
__device__ void nf4_dequantise(const unsigned char *codes, const unsigned char *scale_codes, const float *scale_scales,
                               float offset, const float *book, T *out, long long count) {
    // Every lane asks for another one: in shared memory that costs no more than one.
    float *quantiles = shared<float>();
    if (threadIdx.x < 16) {
        quantiles[threadIdx.x] = quantile(threadIdx.x);
    }
    __syncthreads();
    const long long at = 8 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
    if (at >= count) {
        return;
    }
    const int own = count - at < 8 ? (int)(count - at) : 8;
    const long long block = at / NUMBERS;
    const float scale = book[scale_codes[block]] * scale_scales[block / SCALES] + offset;
    const Four<unsigned char> pairs = read_four(codes + at / 2, (own + 1) / 2);
    for (int half = 0; half < 8; half += 4) {
        Four<T> numbers = {};
        for (int lane = 0; lane < 4; lane++) {
            const int pair = pairs.of[(half + lane) / 2];
            numbers.of[lane] = from_float<T>(quantiles[lane % 2 == 0 ? pair >> 4 : pair & 15] * scale);
        }
        write_four(out + at + half, numbers, own - half < 4 ? own - half : 4);
    }
}

#define NF4S(T, name)                                                                                                  \
    KERNEL void nf4_quantise_##name(const T *x, unsigned char *codes, float *scales, long long count) {                \
        nf4_quantise<T>(x, codes, scales, count);                                                                      \
    }                                                                                                                  \
    EXPORTED(nf4_quantise_##name)                                                                                      \
    KERNEL void nf4_dequantise_##name(const unsigned char *codes, const unsigned char *scale_codes,                    \
                                      const float *scale_scales, float offset, const float *book, T *out,              \
                                      long long count) {                                                               \
        nf4_dequantise<T>(codes, scale_codes, scale_scales, offset, book, out, count);                                 \
    }                                                                                                                  \
    EXPORTED(nf4_dequantise_##name)
FOR_EACH_TYPE(NF4S)
