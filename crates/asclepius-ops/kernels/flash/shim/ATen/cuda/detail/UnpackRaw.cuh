// Stands in for PyTorch's header of this name.
#pragma once

#include <ATen/cuda/CUDAGeneratorImpl.h>
