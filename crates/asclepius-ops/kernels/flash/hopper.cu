// One variant of FlashAttention-3's kernels, forward or backward, for compute capability 9.0. The build names it:
//   FLASH_NAME     the namespace of its `launch`
//   FLASH_SIZE     numbers of a head: 64, 96 or 128; narrower heads are read as if they ended in zeros
//   FLASH_BACKWARD 0 or 1
#include <cstdio>

#include "attention.h"

// CUTLASS takes a failed launch's code off the runtime and answers with one that upstream does not read: it may only look.
#include "cutlass/cutlass.h"
#include "cutlass/device_kernel.h"
#include "cutlass/trace.h"
#define cudaGetLastError cudaPeekAtLastError
#include "cutlass/kernel_launch.h"
#undef cudaGetLastError

// Upstream's check, which finds it then, ends the process; here a launch's code is the answer.
#include "cuda_check.h"
#undef CHECK_CUDA
#define CHECK_CUDA(call)                                                                                               \
    do {                                                                                                               \
        if (const cudaError_t code = (call); code != cudaSuccess) throw code;                                          \
    } while (0)

#if FLASH_BACKWARD
#include "flash_bwd_launch_template.h"
#else
#include "flash_fwd_launch_template.h"
#endif

namespace FLASH_NAME {

using Element = cutlass::bfloat16_t;
constexpr int WIDTH = FLASH_SIZE;

void describe(Flash_fwd_params &params, const FlashCall &call) {
    auto writable = [](const void *memory) { return const_cast<void *>(memory); };
    params.q_ptr = writable(call.q);
    params.k_ptr = writable(call.k);
    params.v_ptr = writable(call.v);
    params.o_ptr = call.output;
    params.softmax_lse_ptr = call.log_sums;
    params.q_row_stride = params.o_row_stride = int64_t(call.heads) * call.size;
    params.k_row_stride = params.v_row_stride = int64_t(call.key_heads) * call.size;
    params.q_head_stride = params.k_head_stride = params.v_head_stride = params.o_head_stride = call.size;
    params.v_dim_stride = 1;
    params.h = call.heads;
    params.h_k = call.key_heads;
    params.b = params.b_k = call.documents;
    params.seqlen_q = call.longest_query;
    params.seqlen_k = call.longest_key;
    params.total_q = call.tokens;
    params.total_k = call.key_tokens;
    params.d = params.dv = call.size;
    params.d_rounded = params.dv_rounded = WIDTH;
    params.cu_seqlens_q = const_cast<int *>(call.query_ends);
    params.cu_seqlens_k = const_cast<int *>(call.key_ends);
    params.scale_softmax = call.scale;
    params.p_dropout = params.rp_dropout = 1.0f;
    params.p_dropout_in_uint8_t = 255;
    params.is_bf16 = params.is_causal = true;
    params.window_size_left = call.longest_key - 1;
    params.window_size_right = 0;
    params.num_splits = 1;
    params.arch = 90;
    int device = 0;
    CHECK_CUDA(cudaGetDevice(&device));
    CHECK_CUDA(cudaDeviceGetAttribute(&params.num_sm, cudaDevAttrMultiProcessorCount, device));
}

#if FLASH_BACKWARD

// Rows of a block: upstream's choice for this width.
constexpr int ROWS = WIDTH == 64 ? 128 : 64, KEYS = 128;

int64_t padded(int tokens, int documents, int block) { return int64_t(ceiling(tokens + documents * block, block)) * block; }

// What the kernels add to, and the turns in which they do.
void lay_out(Flash_bwd_params &params, const FlashCall &call, Pieces &zeros, Pieces &room) {
    const int64_t queries = padded(call.tokens, call.documents, ROWS), keys = padded(call.key_tokens, call.documents, KEYS);
    const int64_t turns = int64_t(ceiling(call.longest_key, KEYS)) * call.documents * call.key_heads;
    params.dk_accum_ptr = zeros.take<float>(call.key_heads * keys * WIDTH);
    params.dv_accum_ptr = zeros.take<float>(call.key_heads * keys * WIDTH);
    params.dk_semaphore = zeros.take<int>(turns);
    params.dv_semaphore = zeros.take<int>(turns);
    // The first kernel clears these.
    params.dq_accum_ptr = room.take<float>(call.heads * queries * WIDTH);
    params.dq_semaphore = room.take<int>(int64_t(ceiling(call.longest_query, ROWS)) * call.documents * call.heads);
    params.dsoftmax_sum = room.take<float>(call.heads * queries);
    params.softmax_lse_log2_ptr = room.take<float>(call.heads * queries);
}

int room(const FlashCall &call, FlashRoom *wanted) {
    Flash_bwd_params params = {};
    Pieces zeros, other;
    lay_out(params, call, zeros, other);
    *wanted = {int64_t(zeros.bytes), int64_t(other.bytes), 1, call.key_heads};
    return cudaSuccess;
}

int launch(const FlashCall &call, cudaStream_t stream) {
    Flash_bwd_params params = {};
    Pieces zeros(call.zeros), other(call.room);
    lay_out(params, call, zeros, other);
    params.do_ptr = const_cast<void *>(call.d_output);
    params.dq_ptr = call.d_q;
    params.dk_ptr = call.d_k;
    params.dv_ptr = call.d_v;
    params.deterministic = true;
    try {
        describe(params, call);
        params.do_row_stride = params.dq_row_stride = params.q_row_stride;
        params.dk_row_stride = params.dv_row_stride = params.k_row_stride;
        params.do_head_stride = params.dq_head_stride = params.dk_head_stride = params.dv_head_stride = call.size;
        // Causal, no window, no cap of scores, documents by length, in order, keys shared by groups of queries; then
        // upstream's stages and layouts for this width.
        if constexpr (WIDTH == 64) {
            run_flash_bwd<90, WIDTH, ROWS, KEYS, Element, true, false, false, true, true, true, 2, 2, true, false, false, 2,
                          1, 2, 2, false>(params, stream);
        } else {
            run_flash_bwd<90, WIDTH, ROWS, KEYS, Element, true, false, false, true, true, true, 2, 2, true, false, false, 2,
                          1, 2, 1, WIDTH == 96>(params, stream);
        }
    } catch (cudaError_t code) {
        return code;
    }
    return cudaSuccess;
}

#else

// Where the kernels that hand out blocks keep what they know of each document.
void lay_out(Flash_fwd_params &params, const FlashCall &call, Pieces &room) {
    params.num_splits_dynamic_ptr = room.take<int>(call.documents);
    params.num_m_blocks_ptr = room.take<int>(call.documents);
    params.varlen_batch_idx_ptr = room.take<int>(call.documents);
    params.num_nheads_in_l2_ptr = room.take<int>(call.documents);
    params.tile_count_semaphore = room.take<int>(1);
    params.varlen_sort_batches = params.head_swizzle = true;
}

int room(const FlashCall &call, FlashRoom *wanted) {
    Flash_fwd_params params = {};
    Pieces other;
    lay_out(params, call, other);
    *wanted = {0, int64_t(other.bytes), 1, call.key_heads};
    return cudaSuccess;
}

int launch(const FlashCall &call, cudaStream_t stream) {
    Flash_fwd_params params = {};
    Pieces other(call.room);
    lay_out(params, call, other);
    try {
        describe(params, call);
        // No cluster; causal, no window, no cap of scores, documents by length; nothing of inference.
        run_flash_fwd<90, WIDTH, WIDTH, 1, Element, Element, true, false, false, true, false, false, false, false, false,
                      false>(params, stream);
    } catch (cudaError_t code) {
        return code;
    }
    return cudaSuccess;
}

#endif

}  // namespace FLASH_NAME
