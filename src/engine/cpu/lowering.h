#pragma once

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/lowering_options.h"
#include "engine/cpu/plan.h"
#include "engine/cpu/product_planner.h"
#include "graph/graph.h"

namespace safelight::engine::cpu {

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
LoweredPlan lower(const graph::Graph& graph, CpuWeights& weights, ProductPlanner& planner,
                  const LoweringOptions& options);

}  // namespace safelight::engine::cpu
