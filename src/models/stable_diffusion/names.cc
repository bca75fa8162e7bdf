#include "models/stable_diffusion/names.h"

#include <utility>

#include "models/names/diffusers_names.h"
#include "models/names/open_clip_names.h"

namespace safelight::models::stable_diffusion {

struct NetworkNames::Dialect {
  Network network;
  Form form;
  std::string_view prefix;
  std::string_view mark;  ///< a tensor that is there in every checkpoint of the dialect
};

// Behind "unet.", "vae.", "text_encoder." and "text_encoder_2." are the networks of diffusers'
// folders, and those that came from files of their own (weights/components.h), in any form.
const NetworkNames::Dialect NetworkNames::kDialects[] = {
    {Network::kText, Form::kReference, "cond_stage_model.transformer.text_model.",
     "final_layer_norm.weight"},
    // Files of early fine-tuners lack CLIPTextModel's inner name.
    {Network::kText, Form::kReference, "cond_stage_model.transformer.", "final_layer_norm.weight"},
    {Network::kText, Form::kOpenClip, "cond_stage_model.model.", "ln_final.weight"},
    {Network::kText, Form::kReference, "conditioner.embedders.0.transformer.text_model.",
     "final_layer_norm.weight"},
    {Network::kText, Form::kOpenClip, "conditioner.embedders.0.model.", "ln_final.weight"},
    {Network::kText, Form::kReference, "text_encoder.text_model.", "final_layer_norm.weight"},
    {Network::kText, Form::kReference, "text_encoder.", "final_layer_norm.weight"},
    {Network::kText, Form::kOpenClip, "text_encoder.", "ln_final.weight"},
    {Network::kText, Form::kReference, "text_encoders.clip_l.transformer.text_model.",
     "final_layer_norm.weight"},
    {Network::kSecondText, Form::kOpenClip, "conditioner.embedders.1.model.", "ln_final.weight"},
    {Network::kSecondText, Form::kReference, "text_encoder_2.text_model.",
     "final_layer_norm.weight"},
    {Network::kSecondText, Form::kReference, "text_encoder_2.", "final_layer_norm.weight"},
    {Network::kSecondText, Form::kOpenClip, "text_encoder_2.", "ln_final.weight"},
    {Network::kSecondText, Form::kReference, "text_encoders.clip_g.transformer.text_model.",
     "final_layer_norm.weight"},
    // stable-diffusion.cpp's conversion.
    {Network::kSecondText, Form::kReference, "cond_stage_model.1.transformer.text_model.",
     "final_layer_norm.weight"},
    {Network::kUnet, Form::kReference, "model.diffusion_model.", "input_blocks.0.0.weight"},
    {Network::kUnet, Form::kDiffusers, "unet.", "conv_in.weight"},
    {Network::kUnet, Form::kReference, "unet.", "input_blocks.0.0.weight"},
    {Network::kUnet, Form::kReference, "diffusion_model.", "input_blocks.0.0.weight"},
    {Network::kAutoencoder, Form::kReference, "first_stage_model.",
     "decoder.mid.block_1.norm1.weight"},
    {Network::kAutoencoder, Form::kDiffusers, "vae.", "decoder.mid_block.resnets.0.norm1.weight"},
    {Network::kAutoencoder, Form::kReference, "vae.", "decoder.mid.block_1.norm1.weight"},
};

namespace {

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

std::string_view component_of(NetworkNames::Network network) {
  switch (network) {
    case NetworkNames::Network::kText:
      return "text_encoder";
    case NetworkNames::Network::kSecondText:
      return "text_encoder_2";
    case NetworkNames::Network::kUnet:
      return "unet";
    case NetworkNames::Network::kAutoencoder:
      break;
  }
  return "vae";
}

}  // namespace

std::optional<NetworkNames> NetworkNames::detect(const weights::TensorIndex& index,
                                                 Network network) {
  for (const Dialect& dialect : kDialects) {
    if (dialect.network != network) continue;
    NetworkNames names;
    names.network_ = network;
    names.form_ = dialect.form;
    names.prefix_ = dialect.prefix;
    names.component_ = component_of(network);
    if (!index.contains(names.prefix_ + std::string(dialect.mark))) continue;
    if (dialect.form == Form::kDiffusers && network == Network::kUnet) {
      names.blocks_ = count(index, names.prefix_ + "down_blocks.0.resnets.", ".norm1.weight");
    }
    if (dialect.form == Form::kDiffusers && network == Network::kAutoencoder) {
      names.blocks_ =
          count(index, names.prefix_ + "encoder.down_blocks.", ".resnets.0.norm1.weight");
      names.older_attention_ =
          index.contains(names.prefix_ + "decoder.mid_block.attentions.0.query.weight");
    }
    return names;
  }
  return std::nullopt;
}

weights::TensorPlace NetworkNames::in_file(const std::string& name) const {
  if (form_ == Form::kOpenClip) {
    weights::TensorPlace place = names::open_clip_place(name);
    place.name.insert(0, prefix_);
    return place;
  }
  // transformers has the projection beside the inner model.
  constexpr std::string_view kInner = "text_model.";
  if (name.starts_with("text_projection.") && prefix_.ends_with(kInner))
    return prefix_.substr(0, prefix_.size() - kInner.size()) + name;
  if (form_ == Form::kReference) return prefix_ + name;
  if (network_ == Network::kUnet) return prefix_ + names::unet_name_in_diffusers(name, blocks_);
  const std::string theirs = prefix_ + names::autoencoder_name_in_diffusers(name, blocks_);
  return older_attention_ ? with_older_attention(theirs) : theirs;
}

}  // namespace safelight::models::stable_diffusion
