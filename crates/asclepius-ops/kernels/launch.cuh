// How a kernel is declared, and where its shared memory lies: on a card, and under host/emulation.hpp.

#pragma once

#ifdef __CUDACC__
#define KERNEL extern "C" __global__
#define EXPORTED(name)
template <typename N>
__device__ N *shared() {
    extern __shared__ __align__(16) unsigned char bytes[];
    return reinterpret_cast<N *>(bytes);
}
#else
#define KERNEL static
#define EXPORTED(name) static const bool name##_is_known = emulation::known_as(#name, name);
template <typename N>
N *shared() {
    return reinterpret_cast<N *>(shared_bytes());
}
#endif
