#pragma once

#include "engine/cpu/plan.h"

namespace safelight::engine::cpu {

/// Alignment of every planned buffer, in bytes: a cache line and the widest vector.
constexpr size_t kBufferAlignment = 64;

/// Gives every buffer of the plan its place: lifetimes from the steps, in-place steps take over
/// their input's memory, buffers that are not alive together share the arena (largest first, lowest
/// fitting offset). Sets arena_bytes and persistent_bytes.
void plan_memory(Plan& plan);

}  // namespace safelight::engine::cpu
