#pragma once

#include <atomic>
#include <cstddef>
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

/// out = after(x * weight^T + bias), the products summed in float32: x [M, K], weight [N, K], out
/// [M, N]. The weight is read in the file's own type, widened block by block where it is used; so a
/// model needs no copy of it.
struct Gemm {
  Rows x, out;
  FileMatrix weight;
  const float* bias = nullptr;  ///< [N] or null
  std::span<const RowOperation> after{};
  const std::atomic<bool>* stop = nullptr;  ///< when set, `out` is left unfinished; may be null
};

/// Scratch bytes that gemm() needs for the shape; to be aligned to 64 bytes.
size_t gemm_scratch(int64_t rows, int64_t columns, int64_t depth, int threads);
/// An addend may be `out` itself; nothing else may overlap.
void gemm(const Gemm& args, void* scratch, int threads);

}  // namespace safelight::engine::cpu
