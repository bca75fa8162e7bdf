#pragma once

#include <atomic>

#include "engine/cpu/kernels/buffer.h"

namespace safelight::engine::cpu {

/// Own kernels of the CPU engine, on Google Highway with run-time dispatch (SSE4, AVX2, AVX-512,
/// and a scalar-like fallback). All compute in float32 whatever the storage (bf16 is widened when
/// loaded, rounded to nearest even when stored) and run on OpenMP's team. Inputs and outputs may be
/// the same buffer only where a kernel says so. Every kernel is tested against a naive twin.

enum class UnaryFunction : uint8_t {
  kIdentity,
  kSilu,       ///< x / (1 + exp(-x))
  kGelu,       ///< x * Phi(x), erf form
  kGeluTanh,   ///< tanh approximation of GELU
  kQuickGelu,  ///< x * sigmoid(1.702 x)
  kRelu,
  kSigmoid,
  kTanh,
  kExp,
  kSin,
  kCos,
  kSqrt,
  kSquare,
  kAbs,
  kAffine,  ///< x * a + b
  kClamp,   ///< min(max(x, a), b)
};

/// A unary function and its parameters (used by kAffine and kClamp only).
struct Unary {
  UnaryFunction function = UnaryFunction::kIdentity;
  float a = 0, b = 0;
};

enum class BinaryFunction : uint8_t { kAdd, kSub, kMul, kDiv, kMaximum };

/// to = from, element by element; the views have equal sizes and any strides >= 0 (`to` without
/// overlaps). Also converts storage. Fast when innermost strides are 1, and for a transposition of
/// the two innermost dimensions.
void copy(const StridedView& from, const StridedView& to);

/// to = unary(from); may be in place.
void unary(const Unary& function, const StridedView& from, const StridedView& to);

/// to = after(a (op) b); sizes equal (broadcast dimensions have stride 0); may be in place on a or
/// b.
void binary(BinaryFunction function, const Unary& after, const StridedView& a, const StridedView& b,
            const StridedView& to);

/// out[r, c] = x[r, c] * gelu(x[r, columns + c]) (erf form); x has 2 * out.columns columns. GEGLU
/// of Shazeer 2020.
void geglu(const Rows& x, const Rows& out);

/// Group normalisation of a channels-last image x [B, S, C] (S = H * W positions), dense.
struct GroupNorm {
  Buffer x, out;                  ///< [B, S, C]; out may be x
  Buffer addend;                  ///< [B, C] added to x first, or null
  const float* weight = nullptr;  ///< [C]
  const float* bias = nullptr;    ///< [C]
  /// [B, groups, 2]: mean and variance to normalise by; null for those of x
  const float* statistics = nullptr;
  int64_t batch = 0, positions = 0, channels = 0;
  int groups = 32;
  float epsilon = 1e-5F;
  Unary after;  ///< applied to the result, e.g. SiLU
};
/// The variance is computed about the mean (two passes or a shifted one), accurate also when |mean|
/// >> deviation. channels % groups == 0; channels per group may be any number >= 1.
void group_norm(const GroupNorm& args);

/// Mean and variance of each group: [B, groups, 2]. Of `args`, the input and the sizes count.
void group_statistics(const GroupNorm& args, float* statistics);

/// out[r] = (x[r] - mean) / sqrt(var + epsilon) * weight + bias over the columns; weight and bias
/// may be null.
void layer_norm(const Rows& x, const float* weight, const float* bias, float epsilon,
                const Rows& out);

/// out[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) * weight; weight may be null.
void rms_norm(const Rows& x, const float* weight, float epsilon, const Rows& out);

/// out[r] = softmax(x[r]); -inf entries give 0; may be in place.
void softmax(const Rows& x, const Rows& out);

/// An operand of attention: element (b, t, h, d) stands b * batch + t * token + h * head + d
/// elements into the buffer.
struct AttentionOperand {
  Buffer buffer;
  int64_t batch = 0, token = 0, head = 0;
};

/// out = softmax(q k^T * scale + mask) v, for each batch entry and head, scores never stored whole
/// (Rabe & Staats 2021, Dao 2022).
struct Attention {
  AttentionOperand q, k, v, out;
  int64_t batch = 0, heads = 0, queries = 0, keys = 0, head_size = 0;  ///< head_size 1 .. 512
  float scale = 1;                                                     ///< > 0
  bool causal = false;                                                 ///< query i sees keys 0 .. i
  const std::atomic<bool>* stop = nullptr;  ///< once set, attention() ends early, `out` unfinished
};
/// Where all operands are bf16 and the processor multiplies bf16 (Isa::kAvx512Bf16), the products
/// are of bf16 numbers, so that weights are rounded to bf16 too; else all is float32.
///
/// Scratch bytes that attention() needs with `threads` threads, given sizes and storages; 64-byte
/// aligned memory is to be given.
size_t attention_scratch(const Attention& args, int threads);
void attention(const Attention& args, void* scratch, int threads);

/// Nearest-neighbour up-sampling of a channels-last image by whole factors: x [B, H, W, C] -> out
/// [B, H*fy, W*fx, C].
void upsample_nearest(Buffer x, Buffer out, int64_t batch, int64_t height, int64_t width,
                      int64_t channels, int factor_y, int factor_x);

/// The places of one picture's tokens when some of them are merged: see graph::Graph::token_slots.
struct TokenSlots {
  const float* scores = nullptr;  ///< [height * width, (height / 2) * (width / 2)]
  float* slots = nullptr;         ///< [height * width]
  int64_t height = 0, width = 0, merged = 0;
};
void token_slots(const TokenSlots& args);

/// out[s] = mean of the rows of x whose slot is s. Throws std::out_of_range for other slots.
void merge_tokens(const Rows& x, const float* slots, const Rows& out);
/// out[n] = x[slots[n]]. Throws std::out_of_range for other slots.
void unmerge_tokens(const Rows& x, const float* slots, const Rows& out);

/// Mean over the columns of each row: out[r] = mean(x[r]), float32.
void row_mean(const Rows& x, float* out);

}  // namespace safelight::engine::cpu
