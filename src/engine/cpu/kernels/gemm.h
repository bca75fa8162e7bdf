#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <span>

#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/weight_format.h"

namespace safelight::engine::cpu {

/// A weight [rows][columns] as a file has it: dense, at any byte.
struct FileMatrix {
  const std::byte* data = nullptr;
  WeightFormat format = WeightFormat::kF32;
  int64_t rows = 0, columns = 0;
};

/// What becomes of each element of a row before it is stored.
struct RowOperation {
  Unary unary;      ///< used where there is no addend
  Buffer addend{};  ///< rows of the result's shape to add, or null
  int64_t stride = 0;
};

/// The filter of a convolution over channels-last images, whose pixels are the rows of x.
struct Filter {
  int64_t rows = 1, columns = 1;
  int64_t height = 1, width = 1;          ///< of an image in x
  int64_t out_height = 1, out_width = 1;  ///< of an image in the result
  int64_t stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  int64_t top = 0, left = 0;  ///< padding by zeros
  int64_t upsample = 1;       ///< the images are read larger by this factor (nearest)

  int64_t taps() const { return rows * columns; }
};
/// The most taps of a filter that gemm() takes.
constexpr int64_t kMaxFilterTaps = 160;

/// out = after(x * weight^T + bias), the products summed in float32: x [M, K], weight [N, K], out
/// [M, N]. With a filter it is a convolution: x [pixels, C], weight [N, C * taps] with a channel's
/// taps side by side, out [pixels of the result, N]. The weight is read in the file's own type,
/// widened block by block where it is used; so a model needs no copy of it.
struct Gemm {
  Rows x, out;
  FileMatrix weight;
  const float* bias = nullptr;  ///< [N] or null
  std::span<const RowOperation> after{};
  std::optional<Filter> filter{};
  const std::atomic<bool>* stop = nullptr;  ///< when set, `out` is left unfinished; may be null
};

/// Scratch bytes that gemm() needs, by the sizes in `args`; to be aligned to 64 bytes.
size_t gemm_scratch(const Gemm& args, int threads);
/// An addend may be `out` itself; nothing else may overlap.
void gemm(const Gemm& args, void* scratch, int threads);

}  // namespace safelight::engine::cpu
