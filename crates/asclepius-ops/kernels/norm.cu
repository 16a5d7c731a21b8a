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

// A thread takes N numbers of the row at a time.
template <typename T, bool CENTRED, int N>
__device__ Statistics row_statistics(const T *x, int d, float epsilon, float *room) {
    float mean = 0, values[N];
    if (CENTRED) {
        float sum = 0;
        for (int at = threadIdx.x * N; at < d; at += blockDim.x * N) {
            read_floats<T, N>(x + at, values);
            for (int lane = 0; lane < N; lane++) {
                sum += values[lane];
            }
        }
        mean = over_block<Sum>(sum, room) / d;
    }
    float squares = 0;
    for (int at = threadIdx.x * N; at < d; at += blockDim.x * N) {
        read_floats<T, N>(x + at, values);
        for (int lane = 0; lane < N; lane++) {
            const float centred = values[lane] - mean;
            squares += centred * centred;
        }
    }
    return {mean, 1.0f / sqrtf(over_block<Sum>(squares, room) / d + epsilon)};
}

// y = (x - m) i w (+ b).
// Shared: a float of each warp.
template <typename T, bool CENTRED, int N>
__device__ void norm_forward(const T *x, const T *w, const T *b, T *y, int d, float epsilon) {
    const size_t start = (size_t)blockIdx.x * d;
    const Statistics row = row_statistics<T, CENTRED, N>(x + start, d, epsilon, shared<float>());
    float values[N], weights[N], offsets[N];
    for (int at = threadIdx.x * N; at < d; at += blockDim.x * N) {
        read_floats<T, N>(x + start + at, values);
        read_floats<T, N>(w + at, weights);
        if (b != nullptr) {
            read_floats<T, N>(b + at, offsets);
        }
        for (int lane = 0; lane < N; lane++) {
            float value = rounded<T>((values[lane] - row.mean) * row.inverse) * weights[lane];
            values[lane] = b == nullptr ? value : rounded<T>(value) + offsets[lane];
        }
        write_floats<T, N>(y + start + at, values);
    }
}

// With n = (x - m) i and u = dy w: dx = i (u - n mean(u n)), with CENTRED less i mean(u) as well, plus `beside`, [rows, d],
// where it is not null. The sums of dy n and of dy over the rows that a block takes (its own and every gridDim-th after it)
// go to row `block` of `dw_parts` and `db_parts`, [blocks, d], which `sum_parts` adds up; either may be null. So each number
// is written by one thread, in an order that the grid alone decides.
// Shared: a float of each warp.
template <typename T, bool CENTRED, int N>
__device__ void norm_backward(const T *x, const T *w, const T *dy, const T *beside, T *dx, float *dw_parts,
                              float *db_parts, int rows, int d, float epsilon) {
    float *room = shared<float>();
    float *dw = dw_parts == nullptr ? nullptr : dw_parts + (size_t)blockIdx.x * d;
    float *db = db_parts == nullptr ? nullptr : db_parts + (size_t)blockIdx.x * d;
    for (int at = threadIdx.x * N; at < d; at += blockDim.x * N) {
        for (int lane = 0; lane < N; lane++) {
            if (dw != nullptr) {
                dw[at + lane] = 0;
            }
            if (db != nullptr) {
                db[at + lane] = 0;
            }
        }
    }
    float values[N], weights[N], gradients[N], others[N];
    for (int index = blockIdx.x; index < rows; index += gridDim.x) {
        const size_t start = (size_t)index * d;
        const Statistics row = row_statistics<T, CENTRED, N>(x + start, d, epsilon, room);
        float along = 0, whole = 0;
        for (int at = threadIdx.x * N; at < d; at += blockDim.x * N) {
            read_floats<T, N>(x + start + at, values);
            read_floats<T, N>(w + at, weights);
            read_floats<T, N>(dy + start + at, gradients);
            for (int lane = 0; lane < N; lane++) {
                const float u = gradients[lane] * weights[lane];
                along += u * (values[lane] - row.mean) * row.inverse;
                whole += u;
            }
        }
        along = over_block<Sum>(along, room) / d;
        whole = CENTRED ? over_block<Sum>(whole, room) / d : 0;
        for (int at = threadIdx.x * N; at < d; at += blockDim.x * N) {
            read_floats<T, N>(x + start + at, values);
            read_floats<T, N>(w + at, weights);
            read_floats<T, N>(dy + start + at, gradients);
            if (beside != nullptr) {
                read_floats<T, N>(beside + start + at, others);
            }
            for (int lane = 0; lane < N; lane++) {
                const float normed = (values[lane] - row.mean) * row.inverse;
                values[lane] = row.inverse * (gradients[lane] * weights[lane] - whole - normed * along);
                if (beside != nullptr) {
                    values[lane] += others[lane];
                }
                if (dw != nullptr) {
                    dw[at + lane] += gradients[lane] * normed;
                }
                if (db != nullptr) {
                    db[at + lane] += gradients[lane];
                }
            }
            write_floats<T, N>(dx + start + at, values);
        }
    }
}

template <typename T, bool CENTRED>
__device__ void forward(const T *x, const T *w, const T *b, T *y, int d, float epsilon) {
    if (in_packs<T>(d, x, w, b, y)) {
        norm_forward<T, CENTRED, Pack<T>::COUNT>(x, w, b, y, d, epsilon);
    } else {
        norm_forward<T, CENTRED, 1>(x, w, b, y, d, epsilon);
    }
}

template <typename T, bool CENTRED>
__device__ void backward(const T *x, const T *w, const T *dy, const T *beside, T *dx, float *dw_parts, float *db_parts,
                         int rows, int d, float epsilon) {
    if (in_packs<T>(d, x, w, dy, beside, dx)) {
        norm_backward<T, CENTRED, Pack<T>::COUNT>(x, w, dy, beside, dx, dw_parts, db_parts, rows, d, epsilon);
    } else {
        norm_backward<T, CENTRED, 1>(x, w, dy, beside, dx, dw_parts, db_parts, rows, d, epsilon);
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
        forward<T, false>(x, w, nullptr, y, d, epsilon);                                                               \
    }                                                                                                                  \
    EXPORTED(rms_norm_forward_##name)                                                                                  \
    KERNEL void rms_norm_backward_##name(const T *x, const T *w, const T *dy, const T *beside, T *dx, float *dw_parts, \
                                         int rows, int d, float epsilon) {                                             \
        backward<T, false>(x, w, dy, beside, dx, dw_parts, nullptr, rows, d, epsilon);                                 \
    }                                                                                                                  \
    EXPORTED(rms_norm_backward_##name)                                                                                 \
    KERNEL void layer_norm_forward_##name(const T *x, const T *w, const T *b, T *y, int d, float epsilon) {            \
        forward<T, true>(x, w, b, y, d, epsilon);                                                                      \
    }                                                                                                                  \
    EXPORTED(layer_norm_forward_##name)                                                                                \
    KERNEL void layer_norm_backward_##name(const T *x, const T *w, const T *dy, const T *beside, T *dx,                \
                                           float *dw_parts, float *db_parts, int rows, int d, float epsilon) {         \
        backward<T, true>(x, w, dy, beside, dx, dw_parts, db_parts, rows, d, epsilon);                                 \
    }                                                                                                                  \
    EXPORTED(layer_norm_backward_##name)
FOR_EACH_TYPE(NORMS)
