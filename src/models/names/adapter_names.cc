#include "models/names/adapter_names.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "models/names/diffusers_names.h"

namespace safelight::models::names {
namespace {

constexpr std::string_view kWeight = ".weight";

std::string without_weight(std::string_view name) {
  return std::string(name.substr(0, name.size() - kWeight.size()));
}

/// What stands in a layer of CLIP's text transformer: transformers' name, OpenCLIP's, and that of
/// diffusers' older LoRAs.
struct TextPart {
  std::string_view transformers, openclip, older;
};
constexpr TextPart kTextParts[] = {
    {"self_attn.q_proj", "", "self_attn.to_q"},
    {"self_attn.k_proj", "", "self_attn.to_k"},
    {"self_attn.v_proj", "", "self_attn.to_v"},
    {"self_attn.out_proj", "attn.out_proj", "self_attn.to_out"},
    {"layer_norm1", "ln_1", ""},
    {"layer_norm2", "ln_2", ""},
    {"mlp.fc1", "mlp.c_fc", ""},
    {"mlp.fc2", "mlp.c_proj", ""},
};

/// "encoder.layers.3.mlp.fc1" -> "3" and "mlp.fc1"; empty where it is not in a layer.
std::pair<std::string_view, std::string_view> split_layer(std::string_view layer) {
  constexpr std::string_view kLayers = "encoder.layers.";
  if (!layer.starts_with(kLayers)) return {};
  layer.remove_prefix(kLayers.size());
  const size_t dot = layer.find('.');
  if (dot == std::string_view::npos) return {};
  return {layer.substr(0, dot), layer.substr(dot + 1)};
}

void add_text_layer(weights::AdapterNames& names, const std::string& layer) {
  names.add(layer, {layer});
  const auto [number, rest] = split_layer(layer);
  for (const TextPart& part : kTextParts) {
    if (rest != part.transformers) continue;
    const std::string open = fmt::format("transformer.resblocks.{}.", number);
    if (!part.openclip.empty()) names.add(open + std::string(part.openclip), {layer});
    if (!part.older.empty())
      names.add(fmt::format("encoder.layers.{}.{}", number, part.older), {layer});
  }
  if (rest != "self_attn.q_proj") return;
  const std::string attention = fmt::format("encoder.layers.{}.self_attn.", number);
  names.add(fmt::format("transformer.resblocks.{}.attn.in_proj", number),
            {attention + "q_proj", attention + "k_proj", attention + "v_proj"});
}

}  // namespace

weights::AdapterNames unet_adapter_names(const weights::BoundWeights& bound, int64_t blocks) {
  weights::AdapterNames names("unet");
  for (const std::string& name : bound.names()) {
    if (!name.ends_with(kWeight)) continue;
    const std::string layer = without_weight(name);
    const std::string theirs = without_weight(unet_name_in_diffusers(name, blocks));
    names.add(layer, {layer});
    names.add(theirs, {layer});
    // diffusers' older attention processors say "to_out_lora".
    constexpr std::string_view kOut = ".to_out.0";
    if (theirs.ends_with(kOut)) names.add(theirs.substr(0, theirs.size() - 2), {layer});
  }
  return names;
}

weights::AdapterNames text_adapter_names(const weights::BoundWeights& bound, std::string network) {
  weights::AdapterNames names(std::move(network));
  for (const std::string& name : bound.names()) {
    if (name.ends_with(kWeight)) add_text_layer(names, without_weight(name));
  }
  names.add("ln_final", {"final_layer_norm"});
  return names;
}

}  // namespace safelight::models::names
