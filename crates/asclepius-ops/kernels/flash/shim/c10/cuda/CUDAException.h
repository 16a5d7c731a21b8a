// Stands in for PyTorch's header of this name: the launchers that check by these macros are not compiled here.
#pragma once

#define C10_CUDA_CHECK(call) static_cast<void>(call)
#define C10_CUDA_KERNEL_LAUNCH_CHECK() static_cast<void>(0)
