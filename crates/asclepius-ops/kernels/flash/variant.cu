// One variant of FlashAttention-2's kernels, forward or backward. The build names it:
//   FLASH_NAME     the namespace of its `launch`
//   FLASH_SIZE     numbers of a head
//   FLASH_WINDOW   0: all earlier keys are seen, 1: those of a window
//   FLASH_BACKWARD 0 or 1
#include <cmath>
#include <cstdio>
#include <type_traits>

#include "attention.h"

#if FLASH_BACKWARD
#include "flash_bwd_launch_template.h"
#else
#include "flash_fwd_launch_template.h"
#endif

// Not a namespace without a name: the compiler takes it for one of CUTLASS'.
namespace FLASH_NAME {

using Element = cutlass::bfloat16_t;
constexpr bool WINDOW = FLASH_WINDOW, CAUSAL = !WINDOW;
// The kernels' widths; a head that is narrower than one takes it with its end left out.
constexpr int WIDTH = FLASH_SIZE <= 64 ? 64 : FLASH_SIZE <= 96 ? 96 : 128;
constexpr bool FULL = FLASH_SIZE == WIDTH;
// Cards for data centres have more shared memory than others, which want smaller blocks.
constexpr bool LARGE = FLASH_CAPABILITY == 80 || FLASH_CAPABILITY == 90 || FLASH_CAPABILITY == 100;

template <typename Params> void describe(Params &params, const FlashCall &call) {
    auto writable = [](const void *memory) { return const_cast<void *>(memory); };
    params.q_ptr = writable(call.q);
    params.k_ptr = writable(call.k);
    params.v_ptr = writable(call.v);
    params.o_ptr = call.output;
    params.softmax_lse_ptr = call.log_sums;
    params.q_row_stride = params.o_row_stride = int64_t(call.heads) * call.size;
    params.k_row_stride = params.v_row_stride = int64_t(call.key_heads) * call.size;
    params.q_head_stride = params.k_head_stride = params.v_head_stride = params.o_head_stride = call.size;
    params.h = call.heads;
    params.h_k = call.key_heads;
    params.h_h_k_ratio = call.heads / call.key_heads;
    params.b = call.documents;
    params.seqlen_q = call.longest_query;
    params.seqlen_k = call.longest_key;
    params.seqlen_q_rounded = ceiling(call.longest_query, 128) * 128;
    params.seqlen_k_rounded = ceiling(call.longest_key, 128) * 128;
    params.d = call.size;
    params.d_rounded = ceiling(call.size, 32) * 32;
    params.total_q = call.tokens;
    params.scale_softmax = call.scale;
    params.scale_softmax_log2 = call.scale * float(M_LOG2E);
    params.cu_seqlens_q = const_cast<int *>(call.query_ends);
    params.cu_seqlens_k = const_cast<int *>(call.key_ends);
    params.is_seqlens_k_cumulative = true;
    params.p_dropout = params.rp_dropout = 1.0f;
    params.p_dropout_in_uint8_t = 255;
    params.scale_softmax_rp_dropout = call.scale;
    params.window_size_left = WINDOW ? call.window : -1;
    params.window_size_right = 0;
    params.is_bf16 = true;
    params.is_causal = CAUSAL;
    params.unpadded_lse = true;
}

template <typename Kernel> cudaError_t allow_shared_memory(Kernel *kernel, size_t bytes) {
    if (bytes < 48 * 1024) return cudaSuccess;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes));
}

#if FLASH_BACKWARD

// Blocks of queries and keys, and how warps share them: upstream's choice for this width.
using Traits = std::conditional_t<
    WIDTH == 64,
    std::conditional_t<LARGE, Flash_bwd_kernel_traits<64, 128, 128, 8, 4, 4, 4, false, false, Element>,
                       Flash_bwd_kernel_traits<64, 64, 128, 8, 2, 4, 4, true, false, Element>>,
    std::conditional_t<
        WIDTH == 96, Flash_bwd_kernel_traits<96, 64, 128, 8, 2, 4, 4, true, false, Element>,
        std::conditional_t<LARGE, Flash_bwd_kernel_traits<128, 64, 128, 8, 2, 4, 2, false, false, Element>,
                           Flash_bwd_kernel_traits<128, 64, 64, 8, 4, 2, 2, true, false, Element>>>>;

auto *const gradients = &FLASH_NAMESPACE::flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel<
    Traits, false, CAUSAL, WINDOW, false, false, FULL, false>;

// Rows between two documents in sums, which are added to in whole blocks.
constexpr int BETWEEN = 128;

int64_t padded(const FlashCall &call) { return call.tokens + int64_t(BETWEEN) * call.documents; }

// What the kernels add to, for each of the blocks that share keys, and what the first leaves for the second.
void lay_out(FLASH_NAMESPACE::Flash_bwd_params &params, const FlashCall &call, int splits, Pieces &zeros, Pieces &room) {
    params.dq_accum_split_stride = padded(call) * call.heads * (ceiling(call.size, 32) * 32);
    params.dq_accum_ptr = zeros.take<float>(splits * params.dq_accum_split_stride);
    params.dsoftmax_sum = room.take<float>(call.heads * padded(call));
}

// Blocks that share a document's keys each have gradients of the queries of their own, which are added in order afterwards.
// As few blocks as come within a twentieth of the shortest time: the card runs whole waves of them.
int room(const FlashCall &call, FlashRoom *wanted) {
    int device = 0, multiprocessors = 0, blocks = 0;
    if (const auto error = cudaGetDevice(&device)) return error;
    if (const auto error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device)) return error;
    if (const auto error = allow_shared_memory(gradients, Traits::kSmemSize1colblock)) return error;
    if (const auto error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, gradients, Traits::kNThreads,
                                                                         Traits::kSmemSize1colblock)) return error;
    const int units = call.documents * call.heads, wave = multiprocessors * (blocks > 0 ? blocks : 1);
    const int most = ceiling(call.longest_key, Traits::kBlockN) < 16 ? ceiling(call.longest_key, Traits::kBlockN) : 16;
    auto waves = [&](int parts) { return double(ceiling(parts * units, wave)) / parts; };
    int splits = 1;
    for (int parts = 2; parts <= most; parts++) {
        if (waves(parts) < 0.95 * waves(splits)) splits = parts;
    }
    FLASH_NAMESPACE::Flash_bwd_params params = {};
    Pieces zeros, other;
    lay_out(params, call, splits, zeros, other);
    *wanted = {int64_t(zeros.bytes), int64_t(other.bytes), splits, call.heads};
    return cudaSuccess;
}

int launch(const FlashCall &call, cudaStream_t stream) {
    FLASH_NAMESPACE::Flash_bwd_params params = {};
    describe(params, call);
    params.do_ptr = const_cast<void *>(call.d_output);
    params.dq_ptr = call.d_q;
    params.dk_ptr = call.d_k;
    params.dv_ptr = call.d_v;
    params.do_row_stride = params.dq_row_stride = params.dk_row_stride = params.dv_row_stride = params.q_row_stride;
    params.do_head_stride = params.dq_head_stride = params.dk_head_stride = params.dv_head_stride = call.size;
    params.deterministic = true;
    Pieces zeros(call.zeros), other(call.room);
    lay_out(params, call, call.splits, zeros, other);

    const dim3 by_queries(ceiling(call.longest_query, Traits::kBlockM), call.documents, call.heads);
    FLASH_NAMESPACE::flash_bwd_dot_do_o_kernel<false, Traits><<<by_queries, Traits::kNThreads, 0, stream>>>(params);
    if (const auto error = cudaGetLastError()) return error;

    if (const auto error = allow_shared_memory(gradients, Traits::kSmemSize1colblock)) return error;
    const dim3 by_keys(call.splits, call.documents, call.heads);
    gradients<<<by_keys, Traits::kNThreads, Traits::kSmemSize1colblock, stream>>>(params);
    if (const auto error = cudaGetLastError()) return error;

    auto *sums = &FLASH_NAMESPACE::flash_bwd_convert_dq_kernel<Traits>;
    if (const auto error = allow_shared_memory(sums, Traits::kSmemdQSize)) return error;
    sums<<<by_queries, Traits::kNThreads, Traits::kSmemdQSize, stream>>>(params, call.splits);
    return cudaGetLastError();
}

#else

using Traits = std::conditional_t<
    WIDTH == 64, Flash_fwd_kernel_traits<64, 128, 128, 4, false, false, Element>,
    std::conditional_t<LARGE, Flash_fwd_kernel_traits<WIDTH, 128, 64, 4, false, false, Element>,
                       Flash_fwd_kernel_traits<WIDTH, 64, 64, 4, false, false, Element>>>;

// No more than the arguments.
int room(const FlashCall &call, FlashRoom *wanted) {
    *wanted = {0, 0, 1, call.key_heads};
    return cudaSuccess;
}

int launch(const FlashCall &call, cudaStream_t stream) {
    FLASH_NAMESPACE::Flash_fwd_params params = {};
    describe(params, call);
    auto *attention =
        &FLASH_NAMESPACE::flash_fwd_kernel<Traits, false, CAUSAL, WINDOW, false, false, FULL, false, false>;
    if (const auto error = allow_shared_memory(attention, Traits::kSmemSize)) return error;
    const dim3 grid(ceiling(call.longest_query, Traits::kBlockM), call.documents, call.heads);
    attention<<<grid, Traits::kNThreads, Traits::kSmemSize, stream>>>(params);
    return cudaGetLastError();
}

#endif

}  // namespace FLASH_NAME
