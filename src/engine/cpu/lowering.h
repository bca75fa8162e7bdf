#pragma once

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/plan.h"
#include "graph/graph.h"

namespace safelight::engine::cpu {

/// What the processor and the user's choices mean for a plan.
struct LoweringOptions {
  Storage storage = Storage::kF32;  ///< of values that do not ask for float32
  bool native_bf16 = false;  ///< oneDNN multiplies bf16 here; else products are done in float32
  int threads = 1;
};

/// A value that is known when the plan is made.
struct PlanConstant {
  View view;  ///< row-major, float32
  std::vector<float> data;
};

struct LoweredPlan {
  Plan plan;
  std::vector<PlanConstant> constants;
};

/// Turns a graph into steps: fuses, gives every value a layout and storage, packs the weights,
/// plans memory. Throws dnnl::error where oneDNN refuses.
LoweredPlan lower(const graph::Graph& graph, CpuWeights& weights, const dnnl::engine& engine,
                  const LoweringOptions& options);

}  // namespace safelight::engine::cpu
