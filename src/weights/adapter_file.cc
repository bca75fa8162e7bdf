#include "weights/adapter_file.h"

#include <algorithm>
#include <array>
#include <map>

#include "weights/scope.h"

namespace safelight::weights {
namespace {

struct Ending {
  std::string_view ending;
  std::string_view part;
  AdapterKind kind = AdapterKind::kUnknown;  ///< what it makes the module, if it tells
};

/// Ends of tensors' names, a longer one before those that it ends in.
constexpr Ending kEndings[] = {
    {".lora_down.weight", "down", AdapterKind::kLora},  // kohya, ComfyUI, OneTrainer
    {".lora_up.weight", "up", AdapterKind::kLora},
    {".lora_mid.weight", "mid", AdapterKind::kLora},
    {".lora_A.weight", "down", AdapterKind::kLora},  // PEFT
    {".lora_B.weight", "up", AdapterKind::kLora},
    {".lora_A.default.weight", "down", AdapterKind::kLora},
    {".lora_B.default.weight", "up", AdapterKind::kLora},
    {".lora_A.default_0.weight", "down", AdapterKind::kLora},
    {".lora_B.default_0.weight", "up", AdapterKind::kLora},
    {".lora_B.bias", "up_bias", AdapterKind::kLora},
    {".lora_linear_layer.down.weight", "down", AdapterKind::kLora},  // diffusers, by age
    {".lora_linear_layer.up.weight", "up", AdapterKind::kLora},
    {".lora.down.weight", "down", AdapterKind::kLora},
    {".lora.up.weight", "up", AdapterKind::kLora},
    {"_lora.down.weight", "down", AdapterKind::kLora},
    {"_lora.up.weight", "up", AdapterKind::kLora},
    {"_lora.alpha", "alpha"},
    {".lora.alpha", "alpha"},
    {".alpha", "alpha"},
    {".dora_scale", "dora"},
    {".lora_magnitude_vector.default.weight", "magnitude"},
    {".lora_magnitude_vector.weight", "magnitude"},
    {".lora_magnitude_vector", "magnitude"},
    {".reshape_weight", "reshape"},
    {".hada_w1_a", "w1_a", AdapterKind::kLoha},  // LyCORIS
    {".hada_w1_b", "w1_b", AdapterKind::kLoha},
    {".hada_w2_a", "w2_a", AdapterKind::kLoha},
    {".hada_w2_b", "w2_b", AdapterKind::kLoha},
    {".hada_t1", "t1", AdapterKind::kLoha},
    {".hada_t2", "t2", AdapterKind::kLoha},
    {".lokr_w1", "w1", AdapterKind::kLokr},
    {".lokr_w1_a", "w1_a", AdapterKind::kLokr},
    {".lokr_w1_b", "w1_b", AdapterKind::kLokr},
    {".lokr_w2", "w2", AdapterKind::kLokr},
    {".lokr_w2_a", "w2_a", AdapterKind::kLokr},
    {".lokr_w2_b", "w2_b", AdapterKind::kLokr},
    {".lokr_t2", "t2", AdapterKind::kLokr},
    {".on_input", "on_input", AdapterKind::kIa3},
    {".ia3_l.default", "ia3_l", AdapterKind::kIa3},
    {".ia3_l", "ia3_l", AdapterKind::kIa3},
    {".diff", "diff", AdapterKind::kDiff},
    {".diff_b", "diff_b"},
    {".w_norm", "diff", AdapterKind::kNorm},
    {".b_norm", "diff_b", AdapterKind::kNorm},
    {".oft_blocks", "oft", AdapterKind::kOft},
    {".oft_diag", "oft", AdapterKind::kOft},
    {".oft_R.weight", "oft", AdapterKind::kOft},
    {".a1.weight", "a1", AdapterKind::kGlora},
    {".a2.weight", "a2", AdapterKind::kGlora},
    {".b1.weight", "b1", AdapterKind::kGlora},
    {".b2.weight", "b2", AdapterKind::kGlora},
    {".weight", "weight"},  // of IA3, where on_input is beside it
};

struct Prefix {
  std::string_view prefix;
  std::string_view network;
};

/// What names begin with; an empty network is told by the rest of the name.
constexpr Prefix kPrefixes[] = {
    {"lora_unet_", "unet"},
    {"lycoris_unet_", "unet"},
    {"unet.", "unet"},
    {"model.diffusion_model.", "unet"},
    {"diffusion_model.", "unet"},
    {"lora_te_", "text"},
    {"lora_te1_", "text"},
    {"lora_te2_", "text2"},
    {"lora_te3_", "text3"},
    {"lycoris_te_", "text"},
    {"lycoris_te1_", "text"},
    {"lycoris_te2_", "text2"},
    {"text_encoder.", "text"},
    {"text_encoder_2.", "text2"},
    {"text_encoder_3.", "text3"},
    {"cond_stage_model.transformer.", "text"},
    {"cond_stage_model.model.", "text"},
    {"conditioner.embedders.0.transformer.", "text"},
    {"conditioner.embedders.1.model.", "text2"},
    {"text_encoders.clip_l.transformer.", "text"},
    {"text_encoders.clip_g.transformer.", "text2"},
    {"text_encoders.t5xxl.", "text3"},
    {"clip_l.transformer.", "text"},
    {"clip_g.transformer.", "text2"},
    {"clip_h.transformer.", "text"},
    {"lora_transformer_", "transformer"},
    {"transformer.", "transformer"},
    {"lycoris_", ""},
    {"", ""},
};
constexpr std::string_view kWrapper = "base_model.model.";  // PEFT's
constexpr std::string_view kBundle = "bundle_emb.";

/// Takes `prefix` off the front, if it is there.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Sets the network and the path from the name.
void place(AdapterModule& module) {
  std::string_view rest = module.name;
  take(rest, kWrapper);
  for (const auto& [prefix, network] : kPrefixes) {
    if (!take(rest, prefix)) continue;
    module.network = network;
    break;
  }
  take(rest, kWrapper);
  module.path = rest;
  // diffusers' older attention processors: "attn1.processor.to_q" + "_lora".
  if (const size_t at = module.path.find(".processor."); at != std::string::npos)
    module.path.erase(at, std::string_view(".processor").size());
  std::replace(module.path.begin(), module.path.end(), '.', '_');
  constexpr std::string_view kText = "text_model_";
  const bool text = module.path.starts_with(kText) || module.path.starts_with("encoder_layers_");
  if (module.network.empty()) module.network = text ? "text" : "unet";
  if (module.network.starts_with("text") && module.path.starts_with(kText))
    module.path.erase(0, kText.size());
}

const Ending* find_ending(std::string_view name) {
  const Ending* best = nullptr;
  for (const Ending& ending : kEndings) {
    if (!name.ends_with(ending.ending)) continue;
    if (best == nullptr || ending.ending.size() > best->ending.size()) best = &ending;
  }
  return best;
}

/// The name of the textual inversion that the tensor is of, if it is of one.
std::string_view embedding_name(std::string_view name) {
  if (!take(name, kBundle)) return {};
  return name.substr(0, name.find('.'));
}

}  // namespace

std::string_view name_of(AdapterKind kind) {
  constexpr std::array<std::string_view, 9> kNames = {
      "unknown", "LoRA", "LoHa", "LoKr", "IA3", "full difference", "norm", "OFT", "GLoRA"};
  return kNames.at(static_cast<size_t>(kind));
}

int64_t AdapterModule::rank() const {
  if (kind == AdapterKind::kLora) return std::max<int64_t>(0, dimension(part("down"), 0));
  if (kind == AdapterKind::kLoha) return std::max<int64_t>(0, dimension(part("w1_b"), 0));
  // Where both factors are products they have one rank; LyCORIS counts the second.
  const TensorView* factor = part("w2_b") != nullptr ? part("w2_b") : part("w1_b");
  return kind == AdapterKind::kLokr ? std::max<int64_t>(0, dimension(factor, 0)) : 0;
}

AdapterFile read_adapter_file(const TensorIndex& index) {
  AdapterFile file;
  std::map<std::string, AdapterModule, std::less<>> modules;
  for (const auto& [name, tensor] : index) {
    if (const std::string_view embedding = embedding_name(name); !embedding.empty()) {
      if (file.embeddings.empty() || file.embeddings.back() != embedding)
        file.embeddings.emplace_back(embedding);
      continue;
    }
    const Ending* const ending = find_ending(name);
    if (ending == nullptr) {
      file.unknown.push_back(name);
      continue;
    }
    const std::string_view base =
        std::string_view(name).substr(0, name.size() - ending->ending.size());
    AdapterModule& module = modules[std::string(base)];
    if (!module.parts.emplace(ending->part, tensor).second) file.unknown.push_back(name);
    if (ending->kind != AdapterKind::kUnknown) module.kind = ending->kind;
  }
  for (auto& [name, module] : modules) {
    module.name = name;
    if (module.kind == AdapterKind::kUnknown && module.part("diff_b") != nullptr)
      module.kind = AdapterKind::kDiff;
    if (module.kind == AdapterKind::kUnknown) {
      for (const auto& [part, tensor] : module.parts) file.unknown.push_back(name + "." + part);
      continue;
    }
    place(module);
    file.modules.push_back(std::move(module));
  }
  return file;
}

}  // namespace safelight::weights
