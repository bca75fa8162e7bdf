#pragma once

#include <algorithm>
#include <functional>
#include <optional>

#include "engine/cpu/plan.h"

namespace safelight::engine::cpu {

/// A step that is one call of an own kernel.
class KernelStep : public Step {
 public:
  explicit KernelStep(std::function<void(const Workspace&)> call) : call_(std::move(call)) {}
  void run(const Workspace& workspace) override { call_(workspace); }

 private:
  std::function<void(const Workspace&)> call_;
};

/// Builds a Plan: makes buffers and views, and adds the copies that a layout or storage needs.
class PlanBuilder {
 public:
  /// A new buffer seen as a dense row-major tensor.
  View row_major(const graph::Shape& sizes, Storage storage);
  /// A new buffer seen as a dense channels-last image.
  View channels_last(const graph::Shape& sizes, Storage storage);
  /// A new buffer in the usual layout of the rank: channels-last for images, else row-major.
  View usual_layout(const graph::Shape& sizes, Storage storage);
  /// A new buffer with the order of dimensions of `like`, without gaps.
  View dense_like(const View& like, Storage storage);
  /// `view`'s buffer is kept from run to run and shared with nothing.
  void make_persistent(const View& view) {
    plan_.buffers[static_cast<size_t>(view.buffer)].persistent = true;
  }
  /// Scratch memory of a step, in bytes.
  View scratch(size_t bytes) {
    return row_major({static_cast<int64_t>((bytes + 3) / 4)}, Storage::kF32);
  }
  /// Scratch memory becomes at least this large.
  void enlarge(const View& scratch, size_t bytes) {
    int64_t& elements = plan_.buffers[static_cast<size_t>(scratch.buffer)].elements;
    elements = std::max(elements, static_cast<int64_t>((bytes + 3) / 4));
  }

  Storage storage(const View& view) const {
    return plan_.buffers[static_cast<size_t>(view.buffer)].storage;
  }
  bool fills_buffer(const View& view) const;

  /// Adds a kernel call. `writes` comes with the result first, scratch after it.
  Step& kernel(std::string kind, const std::vector<View>& reads, const std::vector<View>& writes,
               std::function<void(const Workspace&)> call);
  Step& step(std::string kind, const std::vector<View>& reads, const std::vector<View>& writes,
             std::unique_ptr<Step> step);
  void copy(const View& from, const View& to);

  /// The view itself where it is in that storage, else a copy that is.
  View in_storage(const View& view, Storage storage);
  /// The view itself where its rows lie at one distance, else a row-major copy.
  View as_rows(const View& view);
  /// The view itself where it is a dense channels-last image, else a copy that is.
  View as_channels_last(const View& view);
  /// The same elements under other sizes; a copy only where strides cannot tell it.
  View reshape(const View& view, const graph::Shape& sizes);

  Plan& plan() { return plan_; }

 private:
  View dense(const graph::Shape& sizes, graph::Shape strides, Storage storage);

  Plan plan_;
};

/// Strides under which `view` can be read with other `sizes`, if there are any.
std::optional<graph::Shape> reshaped_strides(const View& view, const graph::Shape& sizes);

}  // namespace safelight::engine::cpu
