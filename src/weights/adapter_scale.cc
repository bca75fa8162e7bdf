#include "weights/adapter_scale.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/json.h"
#include "weights/convert.h"

namespace safelight::weights {
namespace {

namespace json = boost::json;

/// What PEFT's configuration says of one network.
struct Config {
  std::optional<double> alpha;
  bool by_root = false;
  /// Ends of paths whose alpha is another.
  std::vector<std::pair<std::string, double>> patterns;

  std::optional<double> alpha_of(std::string_view path) const {
    for (const auto& [pattern, value] : patterns) {
      if (path == pattern || path.ends_with("_" + pattern)) return value;
    }
    return alpha;
  }
};

std::optional<double> number(const json::object& object, std::string_view key) {
  const json::value* const found = object.if_contains(key);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  const auto value = found->to_number<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

Config read_config(const json::object& object, const std::string& prefix) {
  Config config;
  config.alpha = number(object, prefix + "lora_alpha");
  if (!config.alpha) config.alpha = number(object, prefix + "alpha");
  const json::value* const by_root = object.if_contains(prefix + "use_rslora");
  config.by_root = by_root != nullptr && by_root->is_bool() && by_root->get_bool();
  const json::value* const patterns = object.if_contains(prefix + "alpha_pattern");
  if (patterns == nullptr || !patterns->is_object()) return config;
  for (const auto& [key, unused] : patterns->get_object()) {
    std::string path(key);
    std::replace(path.begin(), path.end(), '.', '_');
    if (const auto value = number(patterns->get_object(), key))
      config.patterns.emplace_back(std::move(path), *value);
  }
  return config;
}

/// By network. diffusers writes one object for all networks; PEFT's is of the only one.
std::map<std::string, Config> read_configs(const TensorIndex::Metadata& metadata) {
  std::map<std::string, Config> configs;
  const auto read = [&](std::string_view key, std::string_view network, const std::string& prefix) {
    const auto found = metadata.find(key);
    if (found == metadata.end()) return;
    const Result<json::value> parsed = parse_json(found->second);
    if (!parsed || !parsed->is_object()) return;
    configs[std::string(network)] = read_config(parsed->get_object(), prefix);
  };
  for (const auto& [network, prefix] :
       {std::pair("unet", "unet."), std::pair("text", "text_encoder."),
        std::pair("text2", "text_encoder_2.")}) {
    read(kPeftConfig, network, "");
    read("lora_adapter_metadata", network, prefix);
  }
  return configs;
}

}  // namespace

std::map<std::string, double> adapter_scales(const AdapterFile& file,
                                             const TensorIndex::Metadata& metadata) {
  const std::map<std::string, Config> configs = read_configs(metadata);
  std::map<std::string, double> scales;
  for (const AdapterModule& module : file.modules) {
    const auto rank = static_cast<double>(module.rank());
    double& scale = scales[module.name];
    scale = 1;
    if (rank < 1) continue;
    if (const TensorView* const alpha = module.part("alpha")) {
      scale = to_tensor(*alpha).data.at(0) / rank;
      continue;
    }
    const auto config = configs.find(module.network);
    if (config == configs.end()) continue;
    const std::optional<double> alpha = config->second.alpha_of(module.path);
    if (alpha) scale = *alpha / (config->second.by_root ? std::sqrt(rank) : rank);
  }
  return scales;
}

}  // namespace safelight::weights
