#pragma once

#include "base/result.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/clip/text_encoder.h"
#include "models/unet/unet.h"
#include "weights/tensor_index.h"

namespace safelight::models::stable_diffusion {

/// Sizes of a checkpoint of Stable Diffusion 1.x's form, published or smaller.
struct Config {
  clip::TextConfig text;
  unet::Config unet;
  autoencoder_kl::Config autoencoder;
};

/// A network and its weights.
template <class Network>
struct Bound {
  Network network;
  weights::BoundWeights weights;
};

/// Stable Diffusion 1.x (Rombach et al. 2022): the networks with their weights bound, nothing read
/// yet.
struct Model {
  Config config;
  Bound<clip::TextEncoder> text;
  Bound<unet::UNet> unet;
  Bound<autoencoder_kl::AutoencoderKL> autoencoder;
};

/// Whether the tensors look like a checkpoint of this family: a UNet with cross-attention and one
/// CLIP-L text encoder.
bool matches(const weights::TensorIndex& index);

/// Takes the sizes from the tensors' shapes. Original single-file names and diffusers' folder
/// names. Errors: kCorruptFile naming the tensor that is missing or does not fit; kUnsupported for
/// sizes out of this form.
Result<Model> bind(const weights::TensorIndex& index);

}  // namespace safelight::models::stable_diffusion
