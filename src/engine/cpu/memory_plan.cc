#include "engine/cpu/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace safelight::engine::cpu {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGap = 64;  // poisoned by the executable, so that a kernel's overrun is seen
#else
constexpr size_t kGap = 0;
#endif

size_t padded(size_t bytes) {
  return (bytes + kGap + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

void find_lifetimes(Plan& plan) {
  for (int s = 0; s < static_cast<int>(plan.steps.size()); ++s) {
    const Step& step = *plan.steps[static_cast<size_t>(s)];
    for (const std::vector<int>* list : {&step.reads, &step.writes}) {
      for (const int index : *list) {
        PlannedBuffer& buffer = plan.buffers[static_cast<size_t>(index)];
        if (buffer.first_step < 0) buffer.first_step = s;
        buffer.last_step = s;
      }
    }
  }
}

int root_of(const Plan& plan, int index) {
  while (plan.buffers[static_cast<size_t>(index)].merged_into >= 0) {
    index = plan.buffers[static_cast<size_t>(index)].merged_into;
  }
  return index;
}

/// Lets outputs of in-place steps take over the memory of an input that dies there.
void merge_in_place(Plan& plan) {
  for (int s = 0; s < static_cast<int>(plan.steps.size()); ++s) {
    const Step& step = *plan.steps[static_cast<size_t>(s)];
    if (step.in_place_input < 0) continue;
    const int output_index = step.writes.front();
    const int input_index = root_of(plan, step.in_place_input);
    PlannedBuffer& output = plan.buffers[static_cast<size_t>(output_index)];
    PlannedBuffer& input = plan.buffers[static_cast<size_t>(input_index)];
    if (input.persistent || output.persistent || input_index == output_index) continue;
    if (input.last_step != s || output.first_step != s || input.bytes() != output.bytes()) continue;
    if (input.storage != output.storage) continue;
    output.merged_into = input_index;
    input.last_step = output.last_step;
  }
}

void place(Plan& plan) {
  std::vector<int> order(plan.buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return plan.buffers[static_cast<size_t>(a)].bytes() >
           plan.buffers[static_cast<size_t>(b)].bytes();
  });
  std::vector<const PlannedBuffer*> placed;  // by offset
  for (const int index : order) {
    PlannedBuffer& buffer = plan.buffers[static_cast<size_t>(index)];
    if (buffer.merged_into >= 0) continue;
    if (buffer.persistent) {
      buffer.arena_offset = plan.persistent_bytes;
      plan.persistent_bytes += padded(buffer.bytes());
      continue;
    }
    if (buffer.first_step < 0) continue;
    size_t offset = 0;
    for (const PlannedBuffer* other : placed) {
      if (other->last_step < buffer.first_step || other->first_step > buffer.last_step) continue;
      if (offset + padded(buffer.bytes()) <= other->arena_offset) break;
      offset = std::max(offset, other->arena_offset + padded(other->bytes()));
    }
    buffer.arena_offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + padded(buffer.bytes()));
    const auto at = std::upper_bound(
        placed.begin(), placed.end(), &buffer,
        [](const auto* a, const auto* b) { return a->arena_offset < b->arena_offset; });
    placed.insert(at, &buffer);
  }
}

}  // namespace

void plan_memory(Plan& plan) {
  find_lifetimes(plan);
  merge_in_place(plan);
  place(plan);
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const int root = root_of(plan, static_cast<int>(i));
    plan.buffers[i].arena_offset = plan.buffers[static_cast<size_t>(root)].arena_offset;
  }
}

}  // namespace safelight::engine::cpu
