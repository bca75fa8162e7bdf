#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/clip/text_encoder.h"
#include "models/unet/unet.h"
#include "weights/tensor_index.h"

namespace safelight::models::stable_diffusion {

/// A text encoder and how the family reads it.
struct TextConfig {
  clip::TextConfig network;
  /// Read is what the last layer but one gives, not normed (SDXL); else the last one's states
  /// through the final norm, or as clip skip says.
  bool last_but_one = false;
  /// Behind the end mark stand tokens 0 (OpenCLIP), not more end marks.
  bool zero_padding = false;
};

/// Sizes of a checkpoint of this family, published or smaller, and what else tells its variants
/// apart.
struct Config {
  std::string name;              ///< "Stable Diffusion 1.x", "SDXL", "SDXL refiner", "SSD-1B", ...
  std::vector<TextConfig> text;  ///< their states are joined in this order along the channels
  unet::Config unet;
  autoencoder_kl::Config autoencoder;
  /// Numbers about the picture behind the pooled text, of kFactSize channels each: original height
  /// and width, top and left of the crop, then target height and width, or a score of its beauty
  /// (SDXL's refiner). 0 where the UNet is told nothing.
  int64_t facts = 0;
  /// Whether a wish for fewer layers of the text encoder is heeded; as in SD WebUI, 1.x alone.
  bool heeds_clip_skip = true;
  int64_t side = 512;  ///< of the pictures that it was made for, in pixels

  /// Channels of a picture that the UNet sees beside the latent: 5 of an inpainting model (mask and
  /// masked picture), 4 of instruct-pix2pix (the picture to change), else 0.
  int64_t picture_channels() const { return unet.in_channels - autoencoder.latent_channels; }
  /// The refiner is told a score of beauty in place of the target size.
  bool tells_score() const { return facts == kFactsOfRefiner; }

  static constexpr int64_t kFactSize = 256;
  static constexpr int64_t kFactsOfBase = 6, kFactsOfRefiner = 5;
};

/// A network and its weights.
template <class Network>
struct Bound {
  Network network;
  weights::BoundWeights weights;
};

/// Stable Diffusion 1.x and 2.x (Rombach et al. 2022), SDXL (Podell et al. 2023) and what was
/// distilled from them: the networks with their weights bound, nothing read yet.
struct Model {
  Config config;
  std::vector<Bound<clip::TextEncoder>> text;
  Bound<unet::UNet> unet;
  Bound<autoencoder_kl::AutoencoderKL> autoencoder;
};

/// Whether the tensors look like a checkpoint of this family, or its UNet alone: a UNet of residual
/// blocks with cross-attention.
bool matches(const weights::TensorIndex& index);

/// What people call a checkpoint or a UNet alone (also without any prefix), and what is particular
/// about it: "SDXL inpainting", "Stable Diffusion 2.x, v-prediction"; empty for what is not of this
/// family.
std::string describe(const weights::TensorIndex& index);

/// The side in pixels of the pictures that a checkpoint was made for; it matches().
int64_t own_side(const weights::TensorIndex& index);

/// The sizes from the tensors' shapes alone, no weight is read. Single-file names of LDM, SGM and
/// ComfyUI and diffusers' folder names, each network for itself. Errors: kCorruptFile naming the
/// tensor that is missing or does not fit; kUnsupported for sizes out of this form.
Result<Config> probe(const weights::TensorIndex& index);

/// probe(), then binds every weight. Errors: those of probe() and weights::bind().
Result<Model> bind(const weights::TensorIndex& index);

}  // namespace safelight::models::stable_diffusion
