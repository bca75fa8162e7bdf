#include "weights/recognise_adapter.h"

#include <algorithm>

#include "weights/adapter_file.h"
#include "weights/scope.h"

namespace safelight::weights {
namespace {

struct AdapterPrefix {
  std::string_view prefix;
  std::string_view component;
};

constexpr AdapterPrefix kAdapterPrefixes[] = {
    {"lora_unet_", "unet"},
    {"lora_transformer_", "transformer"},
    {"lora_te_", "text_encoder"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"lora_te3_", "text_encoder_3"},
    {"unet.", "unet"},
    {"diffusion_model.", "unet"},
    {"transformer.", "transformer"},
    {"text_encoder.", "text_encoder"},
    {"text_encoder_2.", "text_encoder_2"},
};

constexpr int64_t kMostWidth = 1 << 20;

/// Width of the text states that each family's cross-attention reads.
Family family_of_context(int64_t width) {
  switch (width) {
    case 768:
      return Family::kSd1;
    case 1024:
      return Family::kSd2;
    case 1280:
      return Family::kSdxlRefiner;
    case 2048:
      return Family::kSdxl;
    default:
      return Family::kUnknown;
  }
}

bool any_name_contains(const TensorIndex& index, std::string_view part) {
  return std::any_of(index.begin(), index.end(), [&](const auto& entry) {
    return entry.first.find(part) != std::string::npos;
  });
}

/// How wide the input of the module's layer is; -1 where its tensors do not tell.
int64_t input_width(const AdapterModule& module) {
  if (module.kind == AdapterKind::kLora) return dimension(module.part("down"), 1);
  if (module.kind == AdapterKind::kLoha) return dimension(module.part("w1_b"), 1);
  if (module.kind == AdapterKind::kDiff) return dimension(module.part("diff"), 1);
  if (module.kind != AdapterKind::kLokr) return -1;
  int64_t width = 1;
  for (const std::string factor : {"w1", "w2"}) {
    const TensorView* const whole = module.part(factor);
    const int64_t size = dimension(whole ? whole : module.part(factor + "_b"), 1);
    if (size < 0 || size > kMostWidth) return -1;
    width *= size;
  }
  return width;
}

Family lora_family(const TensorIndex& index, const AdapterFile& file) {
  // Flux has blocks of one stream, SD3 has not: so it is asked first.
  for (const std::string_view part :
       {"double_blocks", "single_transformer_blocks", "single_blocks"}) {
    if (any_name_contains(index, part)) return Family::kFlux;
  }
  for (const std::string_view part : {"joint_blocks", "add_k_proj"}) {
    if (any_name_contains(index, part)) return Family::kSd3;
  }
  for (const AdapterModule& module : file.modules) {
    if (module.path.ends_with("attn2_to_k")) return family_of_context(input_width(module));
  }
  const Scope all(index);
  const bool two_text_encoders = all.has_under("lora_te2_") || all.has_under("text_encoder_2.");
  return two_text_encoders ? Family::kSdxl : Family::kUnknown;
}

bool is_embedding_name(std::string_view name) {
  return name == "emb_params" || name == "clip_l" || name == "clip_g" ||
         name.starts_with("string_to_param") || (name.starts_with("<") && name.ends_with(">"));
}

}  // namespace

std::optional<Identity> identify_lora(const TensorIndex& index) {
  const AdapterFile file = read_adapter_file(index);
  if (file.modules.empty()) return std::nullopt;
  const Scope all(index);
  Identity identity{.kind = FileKind::kLora, .family = lora_family(index, file), .networks = {}};
  identity.dialect = all.has_under("lora_") ? Dialect::kKohya : Dialect::kPeft;
  const bool streams = identity.family == Family::kFlux || identity.family == Family::kSd3;
  for (const auto& [prefix, component] : kAdapterPrefixes) {
    if (!all.has_under(prefix)) continue;
    const bool denoiser = component == "unet";
    identity.networks.push_back(
        {std::string(denoiser && streams ? "transformer" : component), std::string(prefix)});
  }
  return identity;
}

std::optional<Identity> identify_embedding(const TensorIndex& index) {
  const auto fits = [](const auto& entry) {
    return is_embedding_name(entry.first) && !entry.second.shape.empty() &&
           entry.second.shape.size() <= 2;
  };
  if (index.empty() || !std::all_of(index.begin(), index.end(), fits)) return std::nullopt;
  Identity identity{.kind = FileKind::kEmbedding, .networks = {{"embedding", ""}}};
  const TensorView& vectors = index.begin()->second;
  identity.family = index.contains("clip_g") && index.contains("clip_l")
                        ? Family::kSdxl
                        : family_of_context(vectors.shape.back());
  return identity;
}

}  // namespace safelight::weights
