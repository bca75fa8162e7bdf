#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"

namespace safelight::graph {

/// Gives the weight of that name, in the shape that the graph's param node states.
using ParamLookup = std::function<Tensor(const std::string& name)>;

/// Runs the graph on float32 tensors, one node after the other, with plain loops and double
/// accumulators: slow, and the meaning of every operator. `inputs` by the names of the graph's
/// inputs. Gives the graph's outputs in order. Throws GraphError for a missing or misshapen input
/// or param, or an id outside an embedding's table.
std::vector<Tensor> interpret(const Graph& graph, const std::map<std::string, Tensor>& inputs,
                              const ParamLookup& params);

}  // namespace safelight::graph
