// CUDA's threads on an ordinary processor, for tests: blocks one after another, each thread of a block a fibre that runs
// until it waits for the others. Only what the kernels use is here.
//
// The threads of a block run in rising or falling order between barriers, as the caller says: results that differ show a
// barrier that is missing. Shared memory is filled with NaN before each block, so that reading what nobody has written shows. A barrier that not
// all threads of the block, or of the warp, reach ends the program with a word about it.

#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __restrict__
#define __launch_bounds__(...)

struct Index {
    unsigned x = 0, y = 0, z = 0;
};

inline float __int_as_float(int bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
inline int __float_as_int(float value) {
    int bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}

struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 value) {
    return __int_as_float((int)((uint32_t)value.bits << 16));
}

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    if (value != value) {
        return {0x7fff};
    }
    const uint32_t bits = (uint32_t)__float_as_int(value);
    return {(uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

using __half = _Float16;
inline float __half2float(__half value) { return (float)value; }
inline __half __float2half_rn(float value) { return (__half)value; }

using std::isfinite;

namespace emulation {

constexpr unsigned LANES = 32;
constexpr size_t STACK = 64 << 10;

enum class Waits { no, for_warp, for_block, done };

struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    Waits waits = Waits::no;
    uint64_t offered = 0;
};

struct Block {
    std::vector<Fibre> fibres;
    ucontext_t scheduler;
    unsigned running = 0;
    const std::pair<void (*)(void *), void *> *body = nullptr;
    bool falling = false;
};

inline Block *block = nullptr;
inline std::vector<char> shared;

[[noreturn]] inline void stop(const char *why) {
    std::fprintf(stderr, "emulation: %s\n", why);
    std::abort();
}

inline void wait(Waits for_whom) {
    Fibre &own = block->fibres[block->running];
    own.waits = for_whom;
    swapcontext(&own.context, &block->scheduler);
}

inline void enter() {
    block->body->first(block->body->second);
    block->fibres[block->running].waits = Waits::done;
}

}  // namespace emulation

inline Index threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { emulation::wait(emulation::Waits::for_block); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulation::wait(emulation::Waits::for_warp); }

template <typename N>
N __shfl_xor_sync(unsigned mask, N value, int apart) {
    static_assert(sizeof(N) <= 8);
    if (mask != 0xffffffffu) {
        emulation::stop("only whole warps exchange numbers here");
    }
    const unsigned own = threadIdx.x;
    std::memcpy(&emulation::block->fibres[own].offered, &value, sizeof(N));
    __syncwarp();
    N other;
    std::memcpy(&other, &emulation::block->fibres[own ^ apart].offered, sizeof(N));
    __syncwarp();
    return other;
}

namespace emulation {

// Lets every fibre of a range go on if each of them waits for the same; says whether it did.
inline bool release(size_t from, size_t to, Waits what) {
    for (size_t at = from; at < to; at++) {
        if (block->fibres[at].waits != what) {
            return false;
        }
    }
    for (size_t at = from; at < to; at++) {
        block->fibres[at].waits = Waits::no;
    }
    return true;
}

// Runs the threads of a range that wait for nobody; says whether there were any.
inline bool run_ready(size_t from, size_t to) {
    bool any = false;
    for (size_t turn = from; turn < to; turn++) {
        const size_t at = block->falling ? from + to - 1 - turn : turn;
        Fibre &fibre = block->fibres[at];
        if (fibre.waits == Waits::no) {
            any = true;
            block->running = at;
            threadIdx.x = at;
            swapcontext(&block->scheduler, &fibre.context);
        }
    }
    return any;
}

inline void run_block(const std::pair<void (*)(void *), void *> &body) {
    const size_t threads = blockDim.x;
    for (Fibre &fibre : block->fibres) {
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.get();
        fibre.context.uc_stack.ss_size = STACK;
        fibre.context.uc_link = &block->scheduler;
        fibre.waits = Waits::no;
        makecontext(&fibre.context, enter, 0);
    }
    block->body = &body;
    // A warp runs as far as it can before the next begins: what another has not read yet is then overwritten if no barrier
    // stands between.
    const size_t warps = (threads + LANES - 1) / LANES;
    for (;;) {
        bool moved = false;
        for (size_t turn = 0; turn < warps; turn++) {
            const size_t warp = (block->falling ? warps - 1 - turn : turn) * LANES;
            const size_t end = std::min(threads, warp + LANES);
            do {
                moved |= run_ready(warp, end);
            } while (release(warp, end, Waits::for_warp));
        }
        moved |= release(0, threads, Waits::for_block);
        if (!moved) {
            break;
        }
    }
    for (const Fibre &fibre : block->fibres) {
        if (fibre.waits != Waits::done) {
            stop("a barrier that not every thread reaches");
        }
    }
}

// A kernel by its function's type: its arguments come as pointers, as cuLaunchKernel takes them.
struct Kernel {
    virtual ~Kernel() = default;
    virtual void call(void **arguments) const = 0;
};

template <typename... A>
struct Typed : Kernel {
    void (*function)(A...);
    explicit Typed(void (*function)(A...)) : function(function) {}
    template <size_t... At>
    void spread(void **arguments, std::index_sequence<At...>) const {
        function(*static_cast<std::remove_reference_t<A> *>(arguments[At])...);
    }
    void call(void **arguments) const override { spread(arguments, std::index_sequence_for<A...>()); }
};

inline std::map<std::string, std::unique_ptr<Kernel>> &kernels() {
    static std::map<std::string, std::unique_ptr<Kernel>> all;
    return all;
}

template <typename... A>
bool known_as(const char *name, void (*function)(A...)) {
    kernels()[name] = std::make_unique<Typed<A...>>(function);
    return true;
}

}  // namespace emulation

// Which bytes of shared memory a launch has.
inline char *shared_bytes() { return emulation::shared.data(); }

// 0, or 1 where there is no such kernel.
extern "C" int launch(const char *name, unsigned blocks, unsigned threads, unsigned shared_size, void **arguments,
                      int falling) {
    using namespace emulation;
    const auto found = kernels().find(name);
    if (found == kernels().end()) {
        return 1;
    }
    struct Call {
        const Kernel *kernel;
        void **arguments;
    } call = {found->second.get(), arguments};
    const std::pair<void (*)(void *), void *> body = {
        [](void *call) { static_cast<Call *>(call)->kernel->call(static_cast<Call *>(call)->arguments); }, &call};
    Block own;
    own.fibres.resize(threads);
    for (Fibre &fibre : own.fibres) {
        // Not cleared: that would take longer than most kernels.
        fibre.stack.reset(new char[STACK]);
    }
    own.falling = falling != 0;
    block = &own;
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    for (unsigned at = 0; at < blocks; at++) {
        blockIdx = {at, 0, 0};
        shared.assign(shared_size, (char)0xff);
        run_block(body);
    }
    return 0;
}
