#include "weights/changed_weight.h"

#include "weights/convert.h"

namespace safelight::weights {

void ChangedWeight::read(int64_t first, int64_t count, std::span<float> out) const {
  to_f32(original_, first * row_size(), out);
  for (const auto& change : changes_) change->apply(first, count, out);
}

Tensor ChangedWeight::whole() const {
  Tensor tensor(shape());
  read(0, rows(), tensor.data);
  return tensor;
}

}  // namespace safelight::weights
