#pragma once

#include <cstdint>

#include "engine/cpu/kernels/buffer.h"
#include "engine/cpu/kernels/kernels.h"

namespace safelight::engine::cpu {

/// The vectorised inner loops: contiguous float32 arrays of any length, on Highway with run-time
/// dispatch. The kernels of kernels.h are made of these; storage, strides and threads are their
/// business.

/// Elements that the kernels handle at a time where a bf16 row must be widened first: stays in the
/// L1 cache.
constexpr int64_t kBlock = 1024;

void widen(const uint16_t* from, float* to, int64_t n);   ///< bf16 to float32
void narrow(const float* from, uint16_t* to, int64_t n);  ///< to nearest even; NaN stays NaN
void apply(const Unary& function, const float* x, float* out, int64_t n);  ///< may be in place
/// out[i] = a[i * a_step] (op) b[i * b_step], steps 0 or 1; may be in place.
void combine(BinaryFunction function, const float* a, int a_step, const float* b, int b_step,
             float* out, int64_t n);
void gate(const float* x, const float* gates, float* out, int64_t n);  ///< out = x * gelu(gates)

double sum(const float* x, int64_t n);
double sum_of_squares(const float* x, float mean, int64_t n);  ///< of x - mean
float maximum(const float* x, int64_t n);
/// out = exp(x - top); gives their sum. May be in place.
double exp_minus(const float* x, float top, float* out, int64_t n);
/// out = (x - mean) * scale * weight + bias; weight and bias may be null; may be in place.
void normalise(const float* x, float mean, float scale, const float* weight, const float* bias,
               float* out, int64_t n);

/// For each of `rows` rows of `channels`: sums[c] += x - pivot[c], squares[c] += (x - pivot[c])^2.
void channel_moments(const float* x, int64_t rows, int64_t channels, const float* pivot,
                     float* sums, float* squares);
/// For each row: out = (x - center[c]) * scale[c] + shift[c]; may be in place.
void channel_affine(const float* x, int64_t rows, int64_t channels, const float* center,
                    const float* scale, const float* shift, float* out);

/// Reads n elements from `from` as float32: the buffer itself where it is float32, else widened
/// into `block`.
inline const float* read_f32(Buffer from, int64_t n, float* block) {
  if (from.storage == Storage::kF32) return reinterpret_cast<const float*>(from.data);
  widen(reinterpret_cast<const uint16_t*>(from.data), block, n);
  return block;
}

/// Where to compute float32 results for `to`: the buffer itself, or `block` when write_f32 must
/// narrow it after.
inline float* target_f32(Buffer to, float* block) {
  return to.storage == Storage::kF32 ? reinterpret_cast<float*>(to.data) : block;
}

/// Stores what was computed at target_f32(to, block).
inline void write_f32(Buffer to, int64_t n, const float* block) {
  if (to.storage == Storage::kBF16) narrow(block, reinterpret_cast<uint16_t*>(to.data), n);
}

}  // namespace safelight::engine::cpu
