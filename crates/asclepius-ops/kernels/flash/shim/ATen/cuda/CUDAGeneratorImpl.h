// Stands in for PyTorch's header of this name: FlashAttention's kernels name its random state, which only their dropout
// reads, and that is not compiled here.
#pragma once

#include <cstdint>
#include <tuple>

namespace at {
struct PhiloxCudaState {};

namespace cuda::philox {
__host__ __device__ inline std::tuple<uint64_t, uint64_t> unpack(PhiloxCudaState) { return {0, 0}; }
}  // namespace cuda::philox
}  // namespace at
