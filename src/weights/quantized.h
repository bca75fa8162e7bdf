#pragma once

#include <cstddef>
#include <span>

#include "base/file.h"
#include "graph/dtype.h"

namespace safelight::weights {

constexpr size_t kMaxBlock = 256;  ///< elements of the largest blocks

/// Dequantizes `blocks` blocks at `source` (unaligned) to float32, with the bits of ggml's
/// reference (ggml-quants.c, dequantize_row_*). `out` holds blocks * dtype_block(type).
void dequantize(graph::DType type, const std::byte* source, size_t blocks, float* out);

/// Whether a scale of any block is NaN or infinite: elements are products of those with small whole
/// numbers.
bool has_non_finite_scale(graph::DType type, Bytes data);

/// Quantizes to Q8_0 with the bits of ggml's reference (quantize_row_q8_0_ref); values.size() is a
/// multiple of 32, and `out` holds 34 bytes for each 32.
void quantize_q8_0(std::span<const float> values, std::byte* out);

}  // namespace safelight::weights
