// Normalisation over rows of d numbers, a block to a row; forward and backward of RMSNorm and LayerNorm.
//
// A row is [d], the rows lie end to end. Sums are in f32. What the reference rounds to the type of x on its way (the
// normalised number, before the weight), these round too.

#include "numbers.cuh"
#include "launch.cuh"

// What a row is normalised by: m = mean(x), with CENTRED only, and i = 1 / sqrt(mean((x - m)^2) + epsilon). The way back
// computes both again: the row is near, and nothing has to be kept for it.
struct Statistics {
    float mean, inverse;
};

template <typename T, bool CENTRED>
__device__ Statistics row_statistics(const T *x, int d, float epsilon, float *room) {
    float mean = 0;
    if (CENTRED) {
        float sum = 0;
        for (int at = threadIdx.x; at < d; at += blockDim.x) {
            sum += to_float(x[at]);
        }
        mean = over_block<Sum>(sum, room) / d;
    }
    float squares = 0;
    for (int at = threadIdx.x; at < d; at += blockDim.x) {
        const float centred = to_float(x[at]) - mean;
        squares += centred * centred;
    }
    return {mean, 1.0f / sqrtf(over_block<Sum>(squares, room) / d + epsilon)};
}

// y = (x - m) i w (+ b).
// Shared: a float of each warp.
template <typename T, bool CENTRED>
__device__ void norm_forward(const T *x, const T *w, const T *b, T *y, int d, float epsilon) {
    const size_t start = (size_t)blockIdx.x * d;
    const Statistics row = row_statistics<T, CENTRED>(x + start, d, epsilon, shared<float>());
    for (int at = threadIdx.x; at < d; at += blockDim.x) {
        float value = rounded<T>((to_float(x[start + at]) - row.mean) * row.inverse) * to_float(w[at]);
        if (b != nullptr) {
            value = rounded<T>(value) + to_float(b[at]);
        }
        y[start + at] = from_float<T>(value);
    }
}

// With n = (x - m) i and u = dy w: dx = i (u - n mean(u n)), with CENTRED less i mean(u) as well. The sums of dy n and of
// dy over the rows that a block takes (its own and every gridDim-th after it) go to row `block` of `dw_parts` and
// `db_parts`, [blocks, d], which `sum_parts` adds up; either may be null. So each number is written by one thread, in an
// order that the grid alone decides.
// Shared: a float of each warp.
template <typename T, bool CENTRED>
__device__ void norm_backward(const T *x, const T *w, const T *dy, T *dx, float *dw_parts, float *db_parts, int rows,
                              int d, float epsilon) {
    float *room = shared<float>();
    float *dw = dw_parts == nullptr ? nullptr : dw_parts + (size_t)blockIdx.x * d;
    float *db = db_parts == nullptr ? nullptr : db_parts + (size_t)blockIdx.x * d;
    for (int at = threadIdx.x; at < d; at += blockDim.x) {
        if (dw != nullptr) {
            dw[at] = 0;
        }
        if (db != nullptr) {
            db[at] = 0;
        }
    }
    for (int index = blockIdx.x; index < rows; index += gridDim.x) {
        const size_t start = (size_t)index * d;
        const Statistics row = row_statistics<T, CENTRED>(x + start, d, epsilon, room);
        float along = 0, whole = 0;
        for (int at = threadIdx.x; at < d; at += blockDim.x) {
            const float normed = (to_float(x[start + at]) - row.mean) * row.inverse;
            const float u = to_float(dy[start + at]) * to_float(w[at]);
            along += u * normed;
            whole += u;
        }
        along = over_block<Sum>(along, room) / d;
        whole = CENTRED ? over_block<Sum>(whole, room) / d : 0;
        for (int at = threadIdx.x; at < d; at += blockDim.x) {
            const float normed = (to_float(x[start + at]) - row.mean) * row.inverse;
            const float gradient = to_float(dy[start + at]);
            dx[start + at] = from_float<T>(row.inverse * (gradient * to_float(w[at]) - whole - normed * along));
            if (dw != nullptr) {
                dw[at] += gradient * normed;
            }
            if (db != nullptr) {
                db[at] += gradient;
            }
        }
    }
}

// out[i] += the sum of parts[0..count][i], first to last: [count, d] -> [d].
KERNEL void sum_parts(const float *parts, float *out, int count, int d) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= d) {
        return;
    }
    float sum = 0;
    for (int part = 0; part < count; part++) {
        sum += parts[(size_t)part * d + at];
    }
    out[at] += sum;
}
EXPORTED(sum_parts)

#define NORMS(T, name)                                                                                                 \
    KERNEL void rms_norm_forward_##name(const T *x, const T *w, T *y, int d, float epsilon) {                          \
        norm_forward<T, false>(x, w, nullptr, y, d, epsilon);                                                          \
    }                                                                                                                  \
    EXPORTED(rms_norm_forward_##name)                                                                                  \
    KERNEL void rms_norm_backward_##name(const T *x, const T *w, const T *dy, T *dx, float *dw_parts, int rows, int d, \
                                         float epsilon) {                                                              \
        norm_backward<T, false>(x, w, dy, dx, dw_parts, nullptr, rows, d, epsilon);                                    \
    }                                                                                                                  \
    EXPORTED(rms_norm_backward_##name)                                                                                 \
    KERNEL void layer_norm_forward_##name(const T *x, const T *w, const T *b, T *y, int d, float epsilon) {            \
        norm_forward<T, true>(x, w, b, y, d, epsilon);                                                                 \
    }                                                                                                                  \
    EXPORTED(layer_norm_forward_##name)                                                                                \
    KERNEL void layer_norm_backward_##name(const T *x, const T *w, const T *dy, T *dx, float *dw_parts,                \
                                           float *db_parts, int rows, int d, float epsilon) {                          \
        norm_backward<T, true>(x, w, dy, dx, dw_parts, db_parts, rows, d, epsilon);                                    \
    }                                                                                                                  \
    EXPORTED(layer_norm_backward_##name)
FOR_EACH_TYPE(NORMS)
