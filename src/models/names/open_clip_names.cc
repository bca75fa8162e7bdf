#include "models/names/open_clip_names.h"

#include <array>
#include <utility>

namespace safelight::models::names {
namespace {

constexpr std::string_view kLayers = "encoder.layers.", kAttention = "self_attn.";

/// Inside a layer, what keeps its form.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kLayerParts = {
    {{"layer_norm1.", "ln_1."},
     {"layer_norm2.", "ln_2."},
     {"self_attn.out_proj.", "attn.out_proj."},
     {"mlp.fc1.", "mlp.c_fc."},
     {"mlp.fc2.", "mlp.c_proj."}}};

/// `part` stands behind the layer's number.
weights::TensorPlace layer_place(const std::string& layer, std::string_view part) {
  for (const auto& [theirs, ours] : kLayerParts) {
    if (part.starts_with(theirs))
      return layer + std::string(ours) + std::string(part.substr(theirs.size()));
  }
  constexpr std::string_view kFused = "qkv";  // the order in OpenCLIP's tensor
  const size_t place = part.starts_with(kAttention) && part.size() > kAttention.size()
                           ? kFused.find(part[kAttention.size()])
                           : std::string_view::npos;
  if (place == std::string_view::npos) return layer + std::string(part);
  const std::string kind(part.substr(part.rfind('.') + 1));  // weight or bias
  return {layer + "attn.in_proj_" + kind, static_cast<int64_t>(place), 3};
}

}  // namespace

weights::TensorPlace open_clip_place(std::string_view name) {
  if (name.starts_with(kLayers)) {
    const size_t dot = name.find('.', kLayers.size());
    if (dot == std::string_view::npos) return std::string(name);
    const std::string number(name.substr(kLayers.size(), dot - kLayers.size()));
    return layer_place("transformer.resblocks." + number + ".", name.substr(dot + 1));
  }
  if (name == "embeddings.token_embedding.weight") return std::string("token_embedding.weight");
  if (name == "embeddings.position_embedding.weight") return std::string("positional_embedding");
  if (name == "text_projection.weight") {
    weights::TensorPlace place("text_projection");
    place.transposed = true;
    return place;
  }
  constexpr std::string_view kNorm = "final_layer_norm.";
  if (name.starts_with(kNorm)) return "ln_final." + std::string(name.substr(kNorm.size()));
  return std::string(name);
}

}  // namespace safelight::models::names
