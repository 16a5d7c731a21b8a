//! Tensor operations with a backward; CPU and CUDA beside a reference twin.
