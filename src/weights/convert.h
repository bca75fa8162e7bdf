#pragma once

#include <cstdint>
#include <span>

#include "base/tensor.h"
#include "weights/tensor_view.h"

namespace safelight::weights {

/// Converts out.size() elements from element `first` on to float32, to nearest even where they do
/// not fit (F64, 32- and 64-bit integers). Booleans give 0 and 1; quantized elements what ggml
/// gives; scales are multiplied in. The source may be unaligned, and `first` within a block.
void to_f32(const TensorView& tensor, int64_t first, std::span<float> out);

/// The same to bfloat16 bits by way of float32, to nearest even, as torch does. NaN gives 0x7FC0;
/// BF16 is copied as it is.
void to_bf16(const TensorView& tensor, int64_t first, std::span<uint16_t> out);

/// Every element: out.size() must be tensor.count().
void to_f32(const TensorView& tensor, std::span<float> out);
void to_bf16(const TensorView& tensor, std::span<uint16_t> out);

/// The tensor in float32 on the host, with its shape.
Tensor to_tensor(const TensorView& tensor);

/// Whether any element is NaN or infinite; false for integers and booleans. Reads every byte once,
/// and of quantized types the scales alone.
bool has_non_finite(const TensorView& tensor);

}  // namespace safelight::weights
