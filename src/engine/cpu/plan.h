#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/cpu/kernels/buffer.h"
#include "graph/shape.h"

namespace safelight::engine::cpu {

/// Where a tensor lies: part of a planned buffer, dimensions in the graph's order and strides in
/// elements. Images are channels-last in memory ([B, C, H, W] with strides {HWC, 1, WC, C}), so
/// that an image and the token matrix of a transformer are the same bytes.
struct View {
  int buffer = -1;
  int64_t offset = 0;
  graph::Shape sizes;
  graph::Shape strides;

  bool valid() const { return buffer >= 0; }
};

/// A piece of memory that a plan needs.
struct PlannedBuffer {
  Storage storage = Storage::kF32;
  int64_t elements = 0;
  bool persistent =
      false;  ///< holds an input, an output or a constant: never shared with another buffer
  int first_step = -1;      ///< the step that writes it first
  int last_step = -1;       ///< the last step that touches it
  int merged_into = -1;     ///< the buffer whose memory it takes over, for in-place steps
  size_t arena_offset = 0;  ///< bytes from the start of the arena, or of the persistent memory

  size_t bytes() const { return static_cast<size_t>(elements) * storage_size(storage); }
};

/// Resolves views to memory during a run.
class Workspace {
 public:
  /// `stop` may be null.
  Workspace(const std::vector<PlannedBuffer>& buffers, std::byte* arena, std::byte* persistent,
            const std::atomic<bool>* stop)
      : buffers_(buffers), arena_(arena), persistent_(persistent), stop_(stop) {}

  Buffer buffer(int index) const {
    const PlannedBuffer& planned = buffers_[static_cast<size_t>(index)];
    return {(planned.persistent ? persistent_ : arena_) + planned.arena_offset, planned.storage};
  }
  /// The first element of the view.
  Buffer at(const View& view) const { return buffer(view.buffer).at(view.offset); }
  StridedView strided(const View& view) const;
  /// The view as rows of its last dimension; row_stride(view) must not be -1.
  Rows rows(const View& view) const;
  /// Set when the run is to end: long steps look at it and may leave their results unfinished.
  const std::atomic<bool>* stop() const { return stop_; }

 private:
  const std::vector<PlannedBuffer>& buffers_;
  std::byte* arena_;
  std::byte* persistent_;
  const std::atomic<bool>* stop_;
};

/// One kernel call of a plan.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const Workspace& workspace) = 0;

  std::string kind;   ///< for profiles: "conv2d", "linear", ...
  std::string layer;  ///< for profiles: shapes read -> written; a step may tell more behind them
  double flops = 0;
  std::vector<int> reads;   ///< buffers
  std::vector<int> writes;  ///< buffers, scratch included
  /// The output may take the memory of this input when nothing reads it later; -1 for none.
  int in_place_input = -1;
};

/// A graph lowered to kernel calls over buffers.
struct Plan {
  std::vector<PlannedBuffer> buffers;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<View> inputs;   ///< in the graph's order
  std::vector<View> outputs;  ///< in the graph's order
  size_t arena_bytes = 0;
  size_t persistent_bytes = 0;
};

/// The common distance between the rows (the last dimension) of the view, or -1 where they do not
/// lie at one distance or their elements are not contiguous.
int64_t row_stride(const View& view);
/// Whether the view's elements follow each other without gaps in the graph's own order.
bool is_row_major(const View& view);
/// Whether the view is a dense channels-last [B, C, H, W].
bool is_channels_last(const View& view);
/// Strides of a dense channels-last [B, C, H, W].
graph::Shape channels_last_strides(const graph::Shape& sizes);

}  // namespace safelight::engine::cpu
