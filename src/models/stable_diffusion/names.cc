#include "models/stable_diffusion/names.h"

#include <array>
#include <utility>

#include "models/names/diffusers_names.h"

namespace safelight::models::stable_diffusion {
namespace {

using Network = NetworkNames::Network;

struct Dialect {
  Network network;
  bool diffusers;
  std::string_view prefix;
  std::string_view mark;  ///< a tensor that is there in every checkpoint of the dialect
};

constexpr std::array kDialects = {
    Dialect{Network::kText, false, "cond_stage_model.transformer.text_model.",
            "final_layer_norm.weight"},
    // Files of early fine-tuners lack CLIPTextModel's inner name.
    Dialect{Network::kText, false, "cond_stage_model.transformer.", "final_layer_norm.weight"},
    Dialect{Network::kText, true, "text_encoder.text_model.", "final_layer_norm.weight"},
    Dialect{Network::kText, true, "text_encoder.", "final_layer_norm.weight"},
    Dialect{Network::kUnet, false, "model.diffusion_model.", "input_blocks.0.0.weight"},
    Dialect{Network::kUnet, true, "unet.", "conv_in.weight"},
    Dialect{Network::kAutoencoder, false, "first_stage_model.", "decoder.mid.block_1.norm1.weight"},
    Dialect{Network::kAutoencoder, true, "vae.", "decoder.mid_block.resnets.0.norm1.weight"},
};

/// The names of the autoencoder's attention before diffusers 0.18, which published folders still
/// have.
std::string with_older_attention(std::string name) {
  constexpr std::pair<std::string_view, std::string_view> kOlder[] = {
      {".to_q.", ".query."},
      {".to_k.", ".key."},
      {".to_v.", ".value."},
      {".to_out.0.", ".proj_attn."}};
  for (const auto& [now, then] : kOlder) {
    const size_t at = name.find(now);
    if (at != std::string::npos) return name.replace(at, now.size(), then);
  }
  return name;
}

/// The least n for which no tensor `prefix + n + suffix` exists.
int64_t count(const weights::TensorIndex& index, const std::string& prefix,
              const std::string& suffix) {
  int64_t n = 0;
  while (index.contains(prefix + std::to_string(n) + suffix)) ++n;
  return n;
}

}  // namespace

std::optional<NetworkNames> NetworkNames::detect(const weights::TensorIndex& index,
                                                 Network network) {
  for (const Dialect& dialect : kDialects) {
    if (dialect.network != network) continue;
    NetworkNames names;
    names.network_ = network;
    names.diffusers_ = dialect.diffusers;
    names.prefix_ = dialect.prefix;
    if (!index.contains(names.prefix_ + std::string(dialect.mark))) continue;
    if (dialect.diffusers && network == Network::kUnet) {
      names.blocks_ = count(index, names.prefix_ + "down_blocks.0.resnets.", ".norm1.weight");
    }
    if (dialect.diffusers && network == Network::kAutoencoder) {
      names.blocks_ =
          count(index, names.prefix_ + "encoder.down_blocks.", ".resnets.0.norm1.weight");
      names.older_attention_ =
          index.contains(names.prefix_ + "decoder.mid_block.attentions.0.query.weight");
    }
    return names;
  }
  return std::nullopt;
}

std::string NetworkNames::in_file(const std::string& name) const {
  if (!diffusers_ || network_ == Network::kText) return prefix_ + name;
  if (network_ == Network::kUnet) return prefix_ + names::unet_name_in_diffusers(name, blocks_);
  const std::string theirs = prefix_ + names::autoencoder_name_in_diffusers(name, blocks_);
  return older_attention_ ? with_older_attention(theirs) : theirs;
}

}  // namespace safelight::models::stable_diffusion
