#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/engine.h"

namespace safelight::pipelines {

/// Compiled graphs by their shape; the least recently made goes when there are too many.
template <class Key>
class ExecutableCache {
 public:
  /// The executable for `key`; `build` makes its graph.
  template <class Build>
  Result<std::shared_ptr<engine::Executable>> get(
      const Key& key, engine::Engine& engine, const std::shared_ptr<engine::LoadedWeights>& weights,
      Build build) {
    const auto found = executables_.find(key);
    if (found != executables_.end()) return found->second;
    graph::Graph graph;
    build(graph);
    auto compiled = engine.compile(graph, weights);
    if (!compiled) return compiled.error();
    if (order_.size() >= kKept) {
      executables_.erase(order_.front());
      order_.erase(order_.begin());
    }
    order_.push_back(key);
    return executables_[key] = std::move(*compiled);
  }

  void clear() {
    executables_.clear();
    order_.clear();
  }

 private:
  static constexpr size_t kKept = 4;
  std::map<Key, std::shared_ptr<engine::Executable>> executables_;
  std::vector<Key> order_;
};

}  // namespace safelight::pipelines
