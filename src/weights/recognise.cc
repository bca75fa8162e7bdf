#include "weights/recognise.h"

#include <algorithm>
#include <optional>

#include "weights/recognise_adapter.h"
#include "weights/scope.h"

namespace safelight::weights {
namespace {

enum class Role { kDenoiser, kTextEncoder, kVae, kControlNet, kUpscaler, kExtra };

/// A prefix that only one kind of network has.
struct Place {
  std::string_view prefix;
  Role role;
  std::string_view component;
  Dialect dialect;
};

constexpr Place kPlaces[] = {
    // CompVis/stable-diffusion, Stability-AI/generative-models and ComfyUI's single files.
    {"model.diffusion_model.", Role::kDenoiser, "unet", Dialect::kOriginal},
    {"diffusion_model.", Role::kDenoiser, "unet", Dialect::kOriginal},
    {"cond_stage_model.", Role::kTextEncoder, "text_encoder", Dialect::kOriginal},
    {"conditioner.embedders.0.", Role::kTextEncoder, "text_encoder", Dialect::kOriginal},
    {"conditioner.embedders.1.", Role::kTextEncoder, "text_encoder_2", Dialect::kOriginal},
    {"text_encoders.clip_l.", Role::kTextEncoder, "text_encoder", Dialect::kOriginal},
    {"text_encoders.clip_g.", Role::kTextEncoder, "text_encoder_2", Dialect::kOriginal},
    {"text_encoders.t5xxl.", Role::kTextEncoder, "text_encoder_3", Dialect::kOriginal},
    {"first_stage_model.", Role::kVae, "vae", Dialect::kOriginal},
    {"control_model.", Role::kControlNet, "controlnet", Dialect::kOriginal},
    {"model_ema.", Role::kExtra, "ema", Dialect::kOriginal},
    // Folders of diffusers, under the names that open_weights gives.
    {"unet.", Role::kDenoiser, "unet", Dialect::kDiffusers},
    {"transformer.", Role::kDenoiser, "transformer", Dialect::kDiffusers},
    {"text_encoder.", Role::kTextEncoder, "text_encoder", Dialect::kDiffusers},
    {"text_encoder_2.", Role::kTextEncoder, "text_encoder_2", Dialect::kDiffusers},
    {"text_encoder_3.", Role::kTextEncoder, "text_encoder_3", Dialect::kDiffusers},
    {"vae.", Role::kVae, "vae", Dialect::kDiffusers},
    {"controlnet.", Role::kControlNet, "controlnet", Dialect::kDiffusers},
    {"safety_checker.", Role::kExtra, "safety_checker", Dialect::kDiffusers},
    {"image_encoder.", Role::kExtra, "image_encoder", Dialect::kDiffusers},
};

/// How a network that is alone in its file is known: all of these names, or names under them when
/// they end in a dot.
struct Signature {
  Role role;
  std::string_view component;
  Dialect dialect;
  std::initializer_list<std::string_view> names;
};

const Signature kSignatures[] = {
    {Role::kDenoiser, "unet", Dialect::kOriginal, {"input_blocks.0.0.weight", "out.2.weight"}},
    {Role::kDenoiser,
     "unet",
     Dialect::kComponent,
     {"conv_in.weight", "conv_out.weight", "down_blocks.", "time_embedding."}},
    {Role::kDenoiser, "transformer", Dialect::kOriginal, {"joint_blocks.", "x_embedder."}},
    {Role::kDenoiser, "transformer", Dialect::kOriginal, {"double_blocks.", "single_blocks."}},
    {Role::kDenoiser, "transformer", Dialect::kComponent, {"transformer_blocks.", "x_embedder."}},
    {Role::kDenoiser, "transformer", Dialect::kComponent, {"transformer_blocks.", "pos_embed."}},
    {Role::kControlNet, "controlnet", Dialect::kOriginal, {"input_hint_block."}},
    {Role::kControlNet, "controlnet", Dialect::kComponent, {"controlnet_cond_embedding."}},
    {Role::kVae, "vae", Dialect::kOriginal, {"decoder.conv_in.weight", "decoder.up."}},
    {Role::kVae, "vae", Dialect::kComponent, {"decoder.conv_in.weight", "decoder.up_blocks."}},
    // TAESD's decoder in its own and in diffusers' names.
    {Role::kVae, "vae", Dialect::kOriginal, {"1.weight", "3.conv.4.weight", "19.weight"}},
    {Role::kVae, "vae", Dialect::kComponent, {"decoder.layers.0.weight", "decoder.layers.2.conv."}},
    {Role::kTextEncoder, "text_encoder", Dialect::kComponent, {"text_model.encoder.layers."}},
    // transformers 5 writes CLIP's names without "text_model.".
    {Role::kTextEncoder,
     "text_encoder",
     Dialect::kComponent,
     {"embeddings.token_embedding.weight", "encoder.layers.", "final_layer_norm.weight"}},
    {Role::kTextEncoder, "text_encoder", Dialect::kOriginal, {"transformer.resblocks."}},
    {Role::kTextEncoder,
     "text_encoder",
     Dialect::kComponent,
     {"encoder.block.0.layer.0.SelfAttention.q.weight"}},
    // ESRGAN in its first and its later names, and SwinIR.
    {Role::kUpscaler, "upscaler", Dialect::kUnknown, {"model.0.weight", "model.1.sub."}},
    {Role::kUpscaler, "upscaler", Dialect::kUnknown, {"conv_first.weight", "body.0.rdb1."}},
    {Role::kUpscaler,
     "upscaler",
     Dialect::kUnknown,
     {"conv_first.weight", "layers.0.residual_group."}},
};

bool matches(const Scope& all, const Signature& signature) {
  return std::all_of(signature.names.begin(), signature.names.end(), [&](std::string_view name) {
    return name.ends_with('.') ? all.has_under(name) : all.find(name) != nullptr;
  });
}

const Signature* find_signature(const Scope& all) {
  const auto found = std::find_if(std::begin(kSignatures), std::end(kSignatures),
                                  [&](const Signature& s) { return matches(all, s); });
  return found == std::end(kSignatures) ? nullptr : found;
}

/// The family of a UNet: SDXL adds a vector of pooled text and sizes (6 or, in the refiner, 5
/// numbers of 256 channels and 1280 of text). SD 1 and 2 differ by the width of the text that they
/// read and, in a UNet of no published width, by 1x1 convolutions where SD 2 has linear layers.
Family unet_family(const Scope& unet) {
  const TensorView* added = unet.find("label_emb.0.0.weight");
  if (added == nullptr) added = unet.find("add_embedding.linear_1.weight");
  if (added != nullptr) {
    switch (dimension(added, 1)) {
      case 1280 + 6 * 256:
        return Family::kSdxl;
      case 1280 + 5 * 256:
        return Family::kSdxlRefiner;
      default:
        return Family::kUnknown;
    }
  }
  const TensorView* projection = unet.first_ending(".proj_in.weight");
  if (projection == nullptr) return Family::kUnknown;
  const int64_t context = dimension(unet.first_ending(".attn2.to_k.weight"), 1);
  if (context == 768) return Family::kSd1;
  if (context == 1024) return Family::kSd2;
  return projection->shape.size() == 4 ? Family::kSd1 : Family::kSd2;
}

Family denoiser_family(const Scope& denoiser) {
  if (denoiser.has_under("joint_blocks.")) return Family::kSd3;
  if (denoiser.has_under("double_blocks.")) return Family::kFlux;
  if (denoiser.has_under("single_transformer_blocks.")) return Family::kFlux;
  if (denoiser.has_under("transformer_blocks.")) {
    const bool has_sd3_form = denoiser.has_under("pos_embed.proj.") &&
                              denoiser.find("context_embedder.weight") != nullptr;
    return has_sd3_form ? Family::kSd3 : Family::kUnknown;
  }
  return unet_family(denoiser);
}

FileKind kind_of(Role role) {
  switch (role) {
    case Role::kDenoiser:
      return FileKind::kDenoiser;
    case Role::kTextEncoder:
      return FileKind::kTextEncoder;
    case Role::kVae:
      return FileKind::kVae;
    case Role::kControlNet:
      return FileKind::kControlNet;
    case Role::kUpscaler:
      return FileKind::kUpscaler;
    case Role::kExtra:
      break;
  }
  return FileKind::kUnknown;
}

std::string component_name(std::string_view component, Family family) {
  const bool is_transformer = family == Family::kSd3 || family == Family::kFlux;
  return std::string(component == "unet" && is_transformer ? "transformer" : component);
}

/// A file of one network, whose names have no prefix.
Identity identify_alone(const TensorIndex& index, const Signature& signature) {
  Identity identity{.kind = kind_of(signature.role), .dialect = signature.dialect, .networks = {}};
  const Scope all(index);
  // A ControlNet is the first half of its family's UNet.
  if (signature.role == Role::kDenoiser || signature.role == Role::kControlNet) {
    identity.family = denoiser_family(all);
  }
  identity.networks = {{component_name(signature.component, identity.family), ""}};
  return identity;
}

/// What the found places make together: the first denoiser says family and dialect; with a text
/// encoder or VAE it is a checkpoint.
Identity identify_places(const TensorIndex& index, const std::vector<const Place*>& places) {
  const auto has = [&](Role role) {
    return std::any_of(places.begin(), places.end(),
                       [&](const Place* p) { return p->role == role; });
  };
  const auto leading = std::find_if(places.begin(), places.end(), [&](const Place* p) {
    return p->role == Role::kDenoiser || (p->role == Role::kControlNet && !has(Role::kDenoiser));
  });
  const Place& leader = leading == places.end() ? *places.front() : **leading;
  Identity identity{.kind = kind_of(leader.role), .dialect = leader.dialect, .networks = {}};
  if (leading != places.end()) {
    identity.family = denoiser_family(Scope(index, std::string(leader.prefix)));
  }
  if (has(Role::kDenoiser) && (has(Role::kTextEncoder) || has(Role::kVae))) {
    identity.kind = FileKind::kCheckpoint;
  } else if (leading == places.end() && has(Role::kTextEncoder) && has(Role::kVae)) {
    identity.kind = FileKind::kUnknown;
  }
  for (const Place* place : places) {
    identity.networks.push_back(
        {component_name(place->component, identity.family), std::string(place->prefix)});
  }
  return identity;
}

}  // namespace

std::string_view Identity::component_of(std::string_view tensor) const {
  const Network* best = nullptr;
  for (const Network& network : networks) {
    if (!tensor.starts_with(network.prefix)) continue;
    if (best == nullptr || network.prefix.size() > best->prefix.size()) best = &network;
  }
  return best == nullptr ? std::string_view("other") : std::string_view(best->component);
}

Identity identify(const TensorIndex& index) {
  if (auto lora = identify_lora(index)) return *std::move(lora);
  if (auto embedding = identify_embedding(index)) return *std::move(embedding);
  const Scope all(index);
  // Networks alone come first: OpenCLIP's own text encoder has names under "transformer." too.
  if (const Signature* signature = find_signature(all)) return identify_alone(index, *signature);
  std::vector<const Place*> places;
  for (const Place& place : kPlaces) {
    if (all.has_under(place.prefix)) places.push_back(&place);
  }
  return places.empty() ? Identity{} : identify_places(index, places);
}

}  // namespace safelight::weights
