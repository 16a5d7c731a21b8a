// Every kernel, for an ordinary C++ compiler.

#include "emulation.hpp"

#include "../activation.cu"
#include "../adamw.cu"
#include "../embedding.cu"
#include "../nf4.cu"
#include "../norm.cu"
#include "../rope.cu"
#include "../softmax.cu"
