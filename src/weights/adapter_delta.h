#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/tensor.h"
#include "weights/adapter_file.h"

namespace safelight::weights {

/// What a module adds to its weight, before any factor: a matrix of the weight's rows, computed
/// when it is needed.
class Delta {
 public:
  virtual ~Delta() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t row_size() const = 0;
  /// Rows [first, first + count): out.size() is count * row_size(). Any number of threads.
  virtual void read(int64_t first, int64_t count, std::span<float> out) const = 0;
};

/// The size of a module's delta as a matrix.
struct DeltaSize {
  int64_t rows = 0, row_size = 0;
  bool operator==(const DeltaSize&) const = default;
};
/// From the shapes of a checked module alone, before memory is taken for it; nothing for a module
/// without a delta, or where its factors are of different sizes.
std::optional<DeltaSize> delta_size(const AdapterModule& module);

/// The delta of a checked module of kind LoRA, LoHa, LoKr, or a whole difference; null for a module
/// without one (IA3, or the difference of a bias alone). Keeps the module's small factors in f32.
std::shared_ptr<const Delta> make_delta(const AdapterModule& module);

/// out [rows, columns] = a [rows, inner] x b [inner, columns], in float32 with the sums in the
/// order of the inner dimension.
void multiply(const float* a, const float* b, int64_t rows, int64_t inner, int64_t columns,
              float* out);

}  // namespace safelight::weights
