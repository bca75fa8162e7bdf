#include "models/sd1/names.h"

#include <array>

#include "models/names/diffusers_names.h"

namespace safelight::models::sd1 {
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
    }
    return names;
  }
  return std::nullopt;
}

std::string NetworkNames::in_file(const std::string& name) const {
  if (!diffusers_ || network_ == Network::kText) return prefix_ + name;
  return prefix_ + (network_ == Network::kUnet
                        ? names::unet_name_in_diffusers(name, blocks_)
                        : names::autoencoder_name_in_diffusers(name, blocks_));
}

}  // namespace safelight::models::sd1
