#include "engine/cpu/plan.h"

#include <stdexcept>

namespace safelight::engine::cpu {
namespace {

/// Whether strides equal `dense` wherever the size is not 1 (the stride of a size-1 dimension means
/// nothing).
bool same_strides(const View& view, const graph::Shape& dense) {
  for (size_t d = 0; d < view.sizes.size(); ++d) {
    if (view.sizes[d] != 1 && view.strides[d] != dense[d]) return false;
  }
  return true;
}

}  // namespace

graph::Shape channels_last_strides(const graph::Shape& sizes) {
  return {sizes[1] * sizes[2] * sizes[3], 1, sizes[1] * sizes[3], sizes[1]};
}

int64_t row_stride(const View& view) {
  const size_t rank = view.sizes.size();
  if (rank == 0) return 1;
  if (view.sizes.back() != 1 && view.strides.back() != 1) return -1;
  int64_t stride = -1, next = 0;
  for (size_t d = rank - 1; d-- > 0;) {
    if (view.sizes[d] == 1) continue;
    if (stride < 0) stride = next = view.strides[d];
    if (view.strides[d] != next) return -1;
    next *= view.sizes[d];
  }
  if (stride < 0) return view.sizes.back();
  return stride >= view.sizes.back() ? stride : -1;
}

bool is_row_major(const View& view) { return same_strides(view, graph::dense_strides(view.sizes)); }

bool is_channels_last(const View& view) {
  return view.sizes.size() == 4 && same_strides(view, channels_last_strides(view.sizes));
}

StridedView Workspace::strided(const View& view) const {
  if (view.sizes.size() > kMaxRank)
    throw std::invalid_argument("strided: more dimensions than kernels take");
  StridedView strided{at(view), static_cast<int>(view.sizes.size()), {}, {}};
  for (size_t d = 0; d < view.sizes.size(); ++d) {
    strided.sizes[d] = view.sizes[d];
    strided.strides[d] = view.strides[d];
  }
  return strided;
}

Rows Workspace::rows(const View& view) const {
  const int64_t columns = view.sizes.empty() ? 1 : view.sizes.back();
  const int64_t count = graph::element_count(view.sizes) / columns;
  return {at(view), count, columns, row_stride(view)};
}

}  // namespace safelight::engine::cpu
