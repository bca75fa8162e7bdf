#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "weights/bound_weights.h"

namespace safelight::nn {

using graph::Graph;
using graph::Value;
using weights::Param;

/// A layer or network is a struct that lists its parts once:
///   template <class Visitor> void visit(Visitor& visitor) { visitor("weight", weight);
///   visitor("norm", norm); }
/// where a part is a Param, another module, or an optional or vector of modules (whose names are
/// their numbers). Names are those of the reference checkpoint, so the path of a param is its name
/// there.

/// Gives every param of a module its name and collects them.
class ParamNamer {
 public:
  explicit ParamNamer(std::string prefix) : path_(std::move(prefix)) {}

  void operator()(std::string_view name, Param& param) {
    param.name = joined(name);
    params_.push_back(param);
  }

  template <class Module>
  void operator()(std::string_view name, Module& module) {
    std::string inner = joined(name);
    std::swap(path_, inner);
    module.visit(*this);
    std::swap(path_, inner);
  }

  template <class Module>
  void operator()(std::string_view name, std::optional<Module>& module) {
    if (module) (*this)(name, *module);
  }

  template <class Module>
  void operator()(std::string_view name, std::vector<Module>& modules) {
    for (size_t i = 0; i < modules.size(); ++i)
      (*this)(std::string(name) + "." + std::to_string(i), modules[i]);
  }

  std::vector<Param> take() { return std::move(params_); }

 private:
  std::string joined(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }

  std::string path_;
  std::vector<Param> params_;
};

/// Names the params of `module` under `prefix` and gives them all.
template <class Module>
std::vector<Param> name_params(Module& module, const std::string& prefix) {
  ParamNamer namer(prefix);
  module.visit(namer);
  return namer.take();
}

/// The weight as a value of the graph.
inline Value use(Graph& graph, const Param& param) { return graph.param(param.name, param.shape); }

}  // namespace safelight::nn
