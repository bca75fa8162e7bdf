#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/file.h"
#include "base/tensor.h"
#include "graph/dtype.h"

namespace safelight::weights {

/// A tensor in someone else's memory: dense row-major little-endian elements that `owner` (mostly
/// a MappedFile) keeps alive. `data` has no alignment: files may put any tensor at any byte.
/// Invariant: data.size() == count() / dtype_block(dtype) * dtype_size(dtype).
struct TensorView {
  graph::DType dtype = graph::DType::kF32;
  std::vector<int64_t> shape;
  Bytes data;
  std::shared_ptr<const void> owner;
  const MappedFile* mapping = nullptr;  ///< the file that `data` is mapped from, if it is

  /// What the elements are multiplied by: one number, or one for each index of the first dimension;
  /// null for 1. Scaled 8-bit floats have it.
  std::shared_ptr<const std::vector<float>> scales = nullptr;

  /// After a pass over the elements that will not soon come again: gives the pages of a mapped file
  /// back.
  void release_pages() const {
    if (mapping != nullptr) mapping->release(data);
  }

  /// The number of elements; 1 for a scalar.
  int64_t count() const { return Tensor::count(shape); }
};

/// An F32 view that owns the host tensor it shows.
TensorView view_of(Tensor tensor);

}  // namespace safelight::weights
