// The variants by head size and window: what src/gpu/card.rs calls. Each returns CUDA's error code, 0 for none.

#include "attention.h"

#define DECLARED(VARIANT)                                                                                              \
    namespace VARIANT {                                                                                                \
    int launch(const FlashCall &, cudaStream_t);                                                                       \
    int room(const FlashCall &, FlashRoom *);                                                                          \
    }
#define DECLARED_FOR(SIZE, WINDOW) DECLARED(flash_forward_##SIZE##_##WINDOW) DECLARED(flash_backward_##SIZE##_##WINDOW)

// As `variants` in tools/cuda/flash.sh. FlashAttention-3 has no width of 80: such heads are read as 96 wide.
#define FOR_EACH_WINDOWED(APPLY) APPLY(64, 64, 1) APPLY(80, 80, 1) APPLY(96, 96, 1) APPLY(128, 128, 1)
#if FLASH_CAPABILITY == 90
#define FOR_EACH_WHOLE(APPLY) APPLY(64, 64, 0) APPLY(80, 96, 0) APPLY(96, 96, 0) APPLY(128, 128, 0)
DECLARED_FOR(64, 0) DECLARED_FOR(96, 0) DECLARED_FOR(128, 0)
#else
#define FOR_EACH_WHOLE(APPLY) APPLY(64, 64, 0) APPLY(80, 80, 0) APPLY(96, 96, 0) APPLY(128, 128, 0)
DECLARED_FOR(64, 0) DECLARED_FOR(80, 0) DECLARED_FOR(96, 0) DECLARED_FOR(128, 0)
#endif
DECLARED_FOR(64, 1) DECLARED_FOR(80, 1) DECLARED_FOR(96, 1) DECLARED_FOR(128, 1)

namespace {

struct Variant {
    int (*launch)(const FlashCall &, cudaStream_t);
    int (*room)(const FlashCall &, FlashRoom *);
};

// The kernels of a call; without any where its head size is not compiled.
Variant variant(const FlashCall &call, bool backward) {
#define CASE(SIZE, WIDTH, WINDOW)                                                                                      \
    case SIZE:                                                                                                         \
        return backward ? Variant{flash_backward_##WIDTH##_##WINDOW::launch, flash_backward_##WIDTH##_##WINDOW::room}  \
                        : Variant{flash_forward_##WIDTH##_##WINDOW::launch, flash_forward_##WIDTH##_##WINDOW::room};
    if (call.window < 0) {
        switch (call.size) { FOR_EACH_WHOLE(CASE) }
    } else {
        switch (call.size) { FOR_EACH_WINDOWED(CASE) }
    }
    return {nullptr, nullptr};
}

}  // namespace

extern "C" int asclepius_flash_launch(const FlashCall *call, int backward, cudaStream_t stream) {
    const auto found = variant(*call, backward != 0);
    return found.launch ? found.launch(*call, stream) : cudaErrorInvalidValue;
}

extern "C" int asclepius_flash_room(const FlashCall *call, int backward, FlashRoom *room) {
    const auto found = variant(*call, backward != 0);
    return found.room ? found.room(*call, room) : cudaErrorInvalidValue;
}

extern "C" const char *asclepius_flash_error(int code) { return cudaGetErrorString(static_cast<cudaError_t>(code)); }
