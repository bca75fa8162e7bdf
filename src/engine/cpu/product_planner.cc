#include "engine/cpu/product_planner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <oneapi/dnnl/dnnl.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/cpu/gemm_product.h"
#include "engine/cpu/onednn_products.h"
#include "engine/cpu/product_timing.h"
#include "engine/cpu/winograd_product.h"

namespace safelight::engine::cpu {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;
constexpr double kLeastMeasured = 2e8;  // FLOP a picture; less takes under a millisecond or two

bool takes_any(const Product&, const PlanBuilder&, const CpuWeights&, const LoweringOptions&) {
  return true;
}

constexpr std::array kMethods = {ProductMethod{"winograd", &takes_winograd, &add_winograd_product},
                                 ProductMethod{"gemm", &takes_gemm, &add_gemm_product},
                                 ProductMethod{"onednn", &takes_any, &add_onednn_product}};

/// What must be the same for a choice to be believed.
json::object circumstances() {
  std::vector<std::string_view> methods;
  for (const ProductMethod& method : kMethods) methods.push_back(method.name);
  return {{"cpu", cpu_name()},
          {"onednn", onednn_version()},
          {"methods", fmt::format("{}", fmt::join(methods, ","))}};
}

std::map<std::string, std::string> read_choices(const std::filesystem::path& file) {
  std::map<std::string, std::string> choices;
  if (file.empty()) return choices;
  const Result<std::string> text = read_file(file, kMaxFileBytes);
  if (!text) return choices;
  const Result<json::value> parsed = parse_json(*text);
  if (!parsed || !parsed->is_object()) return choices;
  const json::object& root = parsed->as_object();
  for (const auto& [key, value] : circumstances()) {
    const json::value* known = root.if_contains(key);
    if (!known || *known != value) return choices;
  }
  const json::value* layers = root.if_contains("layers");
  if (!layers || !layers->is_object()) return choices;
  for (const auto& [layer, method] : layers->as_object()) {
    if (method.is_string()) choices[layer] = method.as_string().c_str();
  }
  return choices;
}

std::string storage_name(Storage storage) { return storage == Storage::kF32 ? "f32" : "bf16"; }

/// What a layer is, whatever the size of its input and the number of threads: neither may change a
/// picture. One that adapters changed is what it was before: nothing is measured anew.
std::string layer_key(const Product& product, const PlanBuilder& builder, const CpuWeights& weights,
                      const LoweringOptions& options) {
  std::string key = fmt::format(
      "{} {}x{} {} {} {}", product.weight, product.kind, fmt::join(product.weight_shape, "x"),
      graph::dtype_name(weights.file_dtype(product.weight)),
      storage_name(builder.storage(product.source)), isa_name(options.isa));
  if (product.upsample > 1) key += " upsampled";
  return key;
}

/// What decides how long the product takes.
std::string shape_key(const Product& product, const std::string& layer) {
  std::string key = layer.substr(product.weight.size());
  key += fmt::format(" {}", fmt::join(product.source.sizes, "x"));
  if (product.convolution) key += fmt::format(" stride {}", product.convolution->stride[0]);
  return key;
}

}  // namespace

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

std::span<const ProductMethod> product_methods() { return kMethods; }

ProductPlanner::ProductPlanner(const std::vector<std::string>& allowed, std::filesystem::path file)
    : file_(std::move(file)), choices_(read_choices(file_)) {
  for (const ProductMethod& method : kMethods) {
    if (allowed.empty()) allowed_.push_back(&method);
  }
  for (const std::string& name : allowed) {
    for (const ProductMethod& method : kMethods) {
      if (method.name == name) allowed_.push_back(&method);
    }
  }
}

ProductPlanner::~ProductPlanner() { save(); }

std::vector<const ProductMethod*> ProductPlanner::candidates(const Product& product,
                                                             const PlanBuilder& builder,
                                                             const CpuWeights& weights,
                                                             const LoweringOptions& options) const {
  std::vector<const ProductMethod*> found;
  for (const ProductMethod* method : allowed_) {
    if (method->takes(product, builder, weights, options)) found.push_back(method);
  }
  // oneDNN can do everything, and so does what was not allowed.
  if (found.empty()) found.push_back(&kMethods.back());
  return found;
}

const ProductMethod& ProductPlanner::choose(const Product& product, const PlanBuilder& builder,
                                            const CpuWeights& weights,
                                            const LoweringOptions& options) {
  const auto found = candidates(product, builder, weights, options);
  if (file_.empty() || found.size() == 1) return *found.front();
  const double one_picture = product.flops() / static_cast<double>(product.source.sizes.front());
  const std::string layer = layer_key(product, builder, weights, options);
  const auto named = [&](const std::string& name) {
    return std::find_if(found.begin(), found.end(),
                        [&](const ProductMethod* method) { return method->name == name; });
  };
  if (const auto known = choices_.find(layer); known != choices_.end()) {
    if (const auto method = named(known->second); method != found.end()) return **method;
  }
  if (one_picture < kLeastMeasured) return *found.front();
  std::string& fastest = fastest_[shape_key(product, layer)];
  if (fastest.empty()) {
    fastest = fastest_method(found, product, builder, weights, options)->name;
  }
  choices_[layer] = fastest;
  changed_ = true;
  return **named(fastest);
}

void ProductPlanner::save() {
  if (!changed_) return;
  json::object root = circumstances(), layers;
  for (const auto& [layer, method] : choices_) layers[layer] = method;
  root["layers"] = std::move(layers);
  if (Status written = write_file_atomically(file_, json::serialize(root)); !written) {
    spdlog::debug("the choices of kernels are not kept: {}", written.error().message);
  }
  changed_ = false;
}

}  // namespace safelight::engine::cpu
