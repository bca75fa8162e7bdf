#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cpu/cpu_weights.h"
#include "engine/cpu/lowering_options.h"
#include "engine/cpu/plan_builder.h"
#include "engine/cpu/product.h"

namespace safelight::engine::cpu {

/// A way to compute products.
struct ProductMethod {
  std::string_view name;
  /// Whether it can compute this product here.
  bool (*takes)(const Product& product, const PlanBuilder& builder, const CpuWeights& weights,
                const LoweringOptions& options);
  /// Adds the steps to the plan, and packs the weight as the method reads it.
  void (*add)(const Product& product, PlanBuilder& builder, CpuWeights& weights,
              const LoweringOptions& options);
};

/// "oneDNN 3.2.0": layouts and speeds are those of a version.
std::string onednn_version();

/// The methods of this build, the most promising first: the one explicit list.
std::span<const ProductMethod> product_methods();

/// Chooses the method of each product by measuring. A layer keeps its method for all shapes, so
/// that its weight is packed once. What was measured is kept in a file with the processor's name
/// and oneDNN's version, and measured anew where these differ.
class ProductPlanner {
 public:
  /// `allowed` names the methods to use, in order of preference; empty for all. Without a file,
  /// nothing is measured and the first method that takes a product does it.
  ProductPlanner(const std::vector<std::string>& allowed, std::filesystem::path file);
  /// Stores what was measured since.
  ~ProductPlanner();
  ProductPlanner(const ProductPlanner&) = delete;
  ProductPlanner& operator=(const ProductPlanner&) = delete;

  const ProductMethod& choose(const Product& product, const PlanBuilder& builder,
                              const CpuWeights& weights, const LoweringOptions& options);
  /// Writes the file if anything was measured; that it cannot be written is only logged.
  void save();

 private:
  std::vector<const ProductMethod*> candidates(const Product& product, const PlanBuilder& builder,
                                               const CpuWeights& weights,
                                               const LoweringOptions& options) const;

  std::vector<const ProductMethod*> allowed_;
  std::filesystem::path file_;
  std::map<std::string, std::string> choices_;  ///< layer -> method's name
  std::map<std::string, std::string> fastest_;  ///< shape -> method's name, in this process
  bool changed_ = false;
};

}  // namespace safelight::engine::cpu
