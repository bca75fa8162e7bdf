#pragma once

#include <cstdint>
#include <span>

#include "base/tensor.h"
#include "weights/tensor_view.h"

namespace safelight::weights {

/// Converts every element to float32, to nearest even where it does not fit (F64, 32- and 64-bit
/// integers). Booleans give 0 and 1. out.size() must be tensor.count(); the source may be
/// unaligned.
void to_f32(const TensorView& tensor, std::span<float> out);

/// Converts every element to bfloat16 bits by way of float32, to nearest even, as torch does. NaN
/// gives 0x7FC0; BF16 is copied as it is. out.size() must be tensor.count().
void to_bf16(const TensorView& tensor, std::span<uint16_t> out);

/// The tensor in float32 on the host, with its shape.
Tensor to_tensor(const TensorView& tensor);

/// Whether any element is NaN or infinite; false for integers and booleans. Reads every byte once.
bool has_non_finite(const TensorView& tensor);

}  // namespace safelight::weights
