#include "engine/cpu/plan_builder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "engine/cpu/kernels/kernels.h"

namespace safelight::engine::cpu {

using graph::Shape;

View PlanBuilder::dense(const Shape& sizes, Shape strides, Storage storage) {
  plan_.buffers.push_back({.storage = storage, .elements = graph::element_count(sizes)});
  return {static_cast<int>(plan_.buffers.size()) - 1, 0, sizes, std::move(strides)};
}

View PlanBuilder::row_major(const Shape& sizes, Storage storage) {
  return dense(sizes, graph::dense_strides(sizes), storage);
}

View PlanBuilder::channels_last(const Shape& sizes, Storage storage) {
  return dense(sizes, channels_last_strides(sizes), storage);
}

View PlanBuilder::usual_layout(const Shape& sizes, Storage storage) {
  return sizes.size() == 4 ? channels_last(sizes, storage) : row_major(sizes, storage);
}

View PlanBuilder::dense_like(const View& like, Storage storage) {
  std::vector<size_t> order(like.sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return like.strides[a] > like.strides[b]; });
  Shape strides(order.size());
  int64_t stride = 1;
  for (size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = stride;
    stride *= like.sizes[order[i]];
  }
  return dense(like.sizes, std::move(strides), storage);
}

bool PlanBuilder::fills_buffer(const View& view) const {
  if (view.offset != 0 || graph::element_count(view.sizes) !=
                              plan_.buffers[static_cast<size_t>(view.buffer)].elements) {
    return false;
  }
  return std::none_of(view.strides.begin(), view.strides.end(),
                      [](int64_t stride) { return stride == 0; });
}

namespace {

/// "2x4096x320, 2x77x320 -> 2x4096x320": the operands that are values, and the result.
std::string layer_of(const std::vector<View>& reads, const View& result) {
  std::string text;
  for (const View& view : reads) {
    if (!view.valid()) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", fmt::join(view.sizes, "x"));
  }
  return text + fmt::format(" -> {}", fmt::join(result.sizes, "x"));
}

}  // namespace

Step& PlanBuilder::step(std::string kind, const std::vector<View>& reads,
                        const std::vector<View>& writes, std::unique_ptr<Step> step) {
  step->kind = std::move(kind);
  step->layer = layer_of(reads, writes.front()) + step->layer;
  for (const View& view : reads) {
    if (view.valid()) step->reads.push_back(view.buffer);
  }
  for (const View& view : writes) step->writes.push_back(view.buffer);
  plan_.steps.push_back(std::move(step));
  return *plan_.steps.back();
}

Step& PlanBuilder::kernel(std::string kind, const std::vector<View>& reads,
                          const std::vector<View>& writes,
                          std::function<void(const Workspace&)> call) {
  return step(std::move(kind), reads, writes, std::make_unique<KernelStep>(std::move(call)));
}

void PlanBuilder::copy(const View& from, const View& to) {
  kernel("copy", {from}, {to}, [from, to](const Workspace& workspace) {
    cpu::copy(workspace.strided(from), workspace.strided(to));
  });
}

View PlanBuilder::in_storage(const View& view, Storage storage) {
  if (this->storage(view) == storage) return view;
  const View converted = dense_like(view, storage);
  copy(view, converted);
  return converted;
}

View PlanBuilder::as_rows(const View& view) {
  if (row_stride(view) >= 0) return view;
  const View rows = row_major(view.sizes, storage(view));
  copy(view, rows);
  return rows;
}

View PlanBuilder::as_channels_last(const View& view) {
  if (is_channels_last(view)) return view;
  const View image = channels_last(view.sizes, storage(view));
  copy(view, image);
  return image;
}

View PlanBuilder::reshape(const View& view, const Shape& sizes) {
  if (std::optional<Shape> strides = reshaped_strides(view, sizes)) {
    return {view.buffer, view.offset, sizes, std::move(*strides)};
  }
  View copied = row_major(view.sizes, storage(view));
  copy(view, copied);
  copied.sizes = sizes;
  copied.strides = graph::dense_strides(sizes);
  return copied;
}

std::optional<Shape> reshaped_strides(const View& view, const Shape& sizes) {
  // Groups of old dimensions that are contiguous among themselves are matched with groups of new
  // ones of the same size.
  Shape old_sizes, old_strides;
  for (size_t d = 0; d < view.sizes.size(); ++d) {
    if (view.sizes[d] == 1) continue;
    old_sizes.push_back(view.sizes[d]);
    old_strides.push_back(view.strides[d]);
  }
  Shape strides(sizes.size(), 1);
  size_t old_begin = 0, new_begin = 0;
  while (old_begin < old_sizes.size() && new_begin < sizes.size()) {
    size_t old_end = old_begin + 1, new_end = new_begin + 1;
    int64_t old_count = old_sizes[old_begin], new_count = sizes[new_begin];
    while (old_count != new_count) {
      if (new_count < old_count) {
        new_count *= sizes[new_end++];
      } else {
        old_count *= old_sizes[old_end++];
      }
    }
    for (size_t d = old_begin; d + 1 < old_end; ++d) {
      if (old_strides[d] != old_sizes[d + 1] * old_strides[d + 1]) return std::nullopt;
    }
    int64_t stride = old_strides[old_end - 1];
    for (size_t d = new_end; d-- > new_begin;) {
      strides[d] = stride;
      stride *= sizes[d];
    }
    old_begin = old_end;
    new_begin = new_end;
  }
  return strides;
}

}  // namespace safelight::engine::cpu
