#pragma once

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/unet/unet.h"

namespace safelight::models::sd1 {

/// The scale of latents that the UNet was trained on (LDM's scale_factor).
constexpr float kLatentScale = 0.18215F;

/// One call of the denoiser. Inputs: x [pictures, C, height, width], timesteps [pictures], and for
/// each cross-attention its keys and values [pictures, tokens, size]. Output: like x.
void build_denoiser(graph::Graph& graph, const unet::UNet& unet, int64_t pictures, int64_t height,
                    int64_t width, int64_t tokens);

/// Latents [pictures, C, height, width] as samplers leave them -> pictures, about [-1, 1].
void build_decoder(graph::Graph& graph, const autoencoder_kl::AutoencoderKL& autoencoder,
                   int64_t pictures, int64_t height, int64_t width);

}  // namespace safelight::models::sd1
