// The gradient of an embedding's rows.

#include "numbers.cuh"
#include "launch.cuh"

// dw[ids[i]] += the sum of dy[row] over the rows order[starts[i]..starts[i + 1]], in that order: a block to an id, so that
// no two blocks write one row. dy [t, d], dw [v, d]; each id stands once in `ids`.
template <typename T>
__device__ void embedding_backward(const T *dy, const unsigned *ids, const unsigned *starts, const unsigned *order,
                                   float *dw, int d) {
    const unsigned first = starts[blockIdx.x], last = starts[blockIdx.x + 1];
    float *row = dw + (size_t)ids[blockIdx.x] * d;
    for (int at = threadIdx.x; at < d; at += blockDim.x) {
        float sum = 0;
        for (unsigned place = first; place < last; place++) {
            sum += to_float(dy[(size_t)order[place] * d + at]);
        }
        row[at] += sum;
    }
}

#define EMBEDDINGS(T, name)                                                                                            \
    KERNEL void embedding_backward_##name(const T *dy, const unsigned *ids, const unsigned *starts,                    \
                                          const unsigned *order, float *dw, int d) {                                   \
        embedding_backward<T>(dy, ids, starts, order, dw, d);                                                          \
    }                                                                                                                  \
    EXPORTED(embedding_backward_##name)
FOR_EACH_TYPE(EMBEDDINGS)
