// The variants by head size and window: what src/gpu/flash/linked.rs calls. Each returns CUDA's error code, 0 for none.

#include "attention.h"

// As FLASH_SIZES in tools/cuda/flash.sh.
#define FLASH_FOR_EACH_SIZE(APPLY) APPLY(64) APPLY(80) APPLY(96) APPLY(128)

#define DECLARED(SIZE)                                                                                                 \
    namespace flash_forward_##SIZE##_0 { int launch(const FlashCall &, cudaStream_t); }                                \
    namespace flash_forward_##SIZE##_1 { int launch(const FlashCall &, cudaStream_t); }                                \
    namespace flash_backward_##SIZE##_0 {                                                                              \
    int launch(const FlashCall &, cudaStream_t);                                                                       \
    int splits(const FlashCall &, int *);                                                                              \
    }                                                                                                                  \
    namespace flash_backward_##SIZE##_1 {                                                                              \
    int launch(const FlashCall &, cudaStream_t);                                                                       \
    int splits(const FlashCall &, int *);                                                                              \
    }
FLASH_FOR_EACH_SIZE(DECLARED)

extern "C" int asclepius_flash_forward(const FlashCall *call, cudaStream_t stream) {
    switch (call->size) {
#define FORWARD(SIZE)                                                                                                  \
    case SIZE:                                                                                                         \
        return call->window < 0 ? flash_forward_##SIZE##_0::launch(*call, stream)                                      \
                                : flash_forward_##SIZE##_1::launch(*call, stream);
        FLASH_FOR_EACH_SIZE(FORWARD)
    }
    return cudaErrorInvalidValue;
}

extern "C" int asclepius_flash_backward(const FlashCall *call, cudaStream_t stream) {
    switch (call->size) {
#define BACKWARD(SIZE)                                                                                                 \
    case SIZE:                                                                                                         \
        return call->window < 0 ? flash_backward_##SIZE##_0::launch(*call, stream)                                     \
                                : flash_backward_##SIZE##_1::launch(*call, stream);
        FLASH_FOR_EACH_SIZE(BACKWARD)
    }
    return cudaErrorInvalidValue;
}

extern "C" int asclepius_flash_splits(const FlashCall *call, int *count) {
    switch (call->size) {
#define SPLITS(SIZE)                                                                                                   \
    case SIZE:                                                                                                         \
        return call->window < 0 ? flash_backward_##SIZE##_0::splits(*call, count)                                      \
                                : flash_backward_##SIZE##_1::splits(*call, count);
        FLASH_FOR_EACH_SIZE(SPLITS)
    }
    return cudaErrorInvalidValue;
}

extern "C" const char *asclepius_flash_error(int code) { return cudaGetErrorString(static_cast<cudaError_t>(code)); }
