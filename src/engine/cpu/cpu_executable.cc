#include "engine/cpu/cpu_executable.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/memory_plan.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace safelight::engine::cpu {
namespace {

float* floats(const Buffer& buffer) { return reinterpret_cast<float*>(buffer.data); }

/// A host tensor as a view of row-major float32.
StridedView host_view(const graph::Shape& shape, const float* data) {
  StridedView view{{reinterpret_cast<std::byte*>(const_cast<float*>(data)), Storage::kF32},
                   static_cast<int>(shape.size()),
                   {},
                   {}};
  const graph::Shape strides = graph::dense_strides(shape);
  for (size_t d = 0; d < shape.size(); ++d) {
    view.sizes[d] = shape[d];
    view.strides[d] = strides[d];
  }
  return view;
}

#if defined(__SANITIZE_ADDRESS__)
/// Keeps all of the arena poisoned but the buffers that are alive, so that a kernel that leaves its
/// buffer is caught.
class ArenaGuard {
 public:
  ArenaGuard(const Plan& plan, std::byte* arena) : plan_(plan), arena_(arena) {
    ASAN_POISON_MEMORY_REGION(arena_, plan_.arena_bytes);
  }
  ~ArenaGuard() { ASAN_UNPOISON_MEMORY_REGION(arena_, plan_.arena_bytes); }
  void before(int step) { mark(step, true); }
  void after(int step) { mark(step, false); }

 private:
  void mark(int step, bool begins) {
    for (const PlannedBuffer& buffer : plan_.buffers) {
      if (buffer.persistent || buffer.merged_into >= 0 || buffer.first_step < 0) continue;
      if (begins && buffer.first_step == step)
        ASAN_UNPOISON_MEMORY_REGION(arena_ + buffer.arena_offset, buffer.bytes());
      if (!begins && buffer.last_step == step)
        ASAN_POISON_MEMORY_REGION(arena_ + buffer.arena_offset, buffer.bytes());
    }
  }

  const Plan& plan_;
  std::byte* arena_;
};
#else
class ArenaGuard {
 public:
  ArenaGuard(const Plan&, std::byte*) {}
  void before(int) {}
  void after(int) {}
};
#endif

}  // namespace

CpuExecutable::CpuExecutable(LoweredPlan lowered, std::shared_ptr<CpuWeights> weights,
                             std::shared_ptr<Arena> arena, std::shared_ptr<uint64_t> total,
                             Profile* profile)
    : plan_(std::move(lowered.plan)),
      weights_(std::move(weights)),
      arena_(std::move(arena)),
      persistent_(std::move(total)),
      profile_(profile) {
  arena_->reserve(plan_.arena_bytes);
  persistent_.reserve(plan_.persistent_bytes);
  const Workspace places = workspace(nullptr, nullptr);
  for (const PlanConstant& constant : lowered.constants) {
    std::copy(constant.data.begin(), constant.data.end(), floats(places.at(constant.view)));
  }
  if (!profile_) return;
  for (const auto& step : plan_.steps) {
    profile_rows_.push_back(profile_->row(step->kind, step->layer));
  }
}

Workspace CpuExecutable::workspace(std::byte* arena, const StopFlag* stop) const {
  return {plan_.buffers, arena, persistent_.reserve(plan_.persistent_bytes), stop};
}

void CpuExecutable::set_input(size_t index, const Tensor& tensor) {
  const View& view = plan_.inputs.at(index);
  if (tensor.shape != view.sizes) {
    throw std::invalid_argument(
        fmt::format("input {} has shape {}; the executable was compiled for {}", index,
                    graph::to_string(tensor.shape), graph::to_string(view.sizes)));
  }
  copy(host_view(tensor.shape, tensor.begin()), workspace(nullptr, nullptr).strided(view));
}

Status CpuExecutable::run(const StopFlag* stop) {
  std::byte* arena = arena_->reserve(plan_.arena_bytes);
  const Workspace places = workspace(arena, stop);
  ArenaGuard guard(plan_, arena);
  for (int s = 0; s < static_cast<int>(plan_.steps.size()); ++s) {
    if (stop && stop->load(std::memory_order_relaxed))
      return Error{ErrorCode::kCancelled, "stopped"};
    Step& step = *plan_.steps[static_cast<size_t>(s)];
    guard.before(s);
    if (profile_) {
      const auto begin = std::chrono::steady_clock::now();
      step.run(places);
      profile_->add(profile_rows_[static_cast<size_t>(s)],
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
                    step.flops);
    } else {
      step.run(places);
    }
    guard.after(s);
  }
  // The last step may have been left early.
  if (stop && stop->load(std::memory_order_relaxed)) return Error{ErrorCode::kCancelled, "stopped"};
  return {};
}

Tensor CpuExecutable::output(size_t index) const {
  const View& view = plan_.outputs.at(index);
  Tensor tensor(view.sizes);
  std::copy_n(floats(workspace(nullptr, nullptr).at(view)), tensor.data.size(), tensor.begin());
  return tensor;
}

}  // namespace safelight::engine::cpu
