#pragma once

#include <compare>

#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "models/unet/unet.h"

namespace safelight::models::stable_diffusion {

/// A run of a text encoder over [1, tokens]. Inputs: ids; with `learned`, those of LearnedInputs;
/// where it gives pooled text, `end`, 1 at the end mark and 0 elsewhere. Outputs: states [1,
/// tokens, C] as TextConfig says, with clip_skip (1 for none) where they are the last layer's; the
/// pooled text [1, pooled].
void build_text_encoder(graph::Graph& graph, const clip::TextEncoder& encoder,
                        const TextConfig& config, int64_t tokens, int64_t clip_skip,
                        bool learned = false);

/// What SDXL's UNet is told in one vector. Inputs: pooled text [1, pooled], facts [facts] of the
/// picture. Output: [1, pooled + facts * kFactSize].
void build_vector(graph::Graph& graph, int64_t pooled, int64_t facts);

/// What a call of the denoiser leaves out or tells beside: see unet::PassOptions.
struct DenoiserOptions {
  double token_merging = 0;
  int64_t outer_blocks = 0;
  bool shallow = false;  ///< runs the outer blocks alone
  std::vector<int64_t> perturbed = {};
  bool attention_map = false;
  auto operator<=>(const DenoiserOptions&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// One call of the denoiser. Inputs: x [pictures, C, height, width], timesteps [pictures], and for
/// each cross-attention its keys and values [pictures, tokens, size]; where the network has a label
/// embedding, its vector [pictures, config.vector]; with `shallow`, what the inner blocks gave in
/// an earlier call. Outputs: like x; without `shallow` but with outer blocks, what the inner blocks
/// gave; without `shallow` but with `attention_map`, that [pictures, rows, columns].
void build_denoiser(graph::Graph& graph, const unet::UNet& unet, int64_t pictures, int64_t height,
                    int64_t width, int64_t tokens, const DenoiserOptions& options = {});

/// Latents [pictures, C, height, width] as samplers leave them -> pictures, about [-1, 1].
void build_decoder(graph::Graph& graph, const autoencoder_kl::AutoencoderKL& autoencoder,
                   int64_t pictures, int64_t height, int64_t width);

/// The latent of one picture -> the features behind `level` (see AutoencoderKL::decode_head), which
/// are not yet an output.
graph::Value build_decoder_head(graph::Graph& graph,
                                const autoencoder_kl::AutoencoderKL& autoencoder, int64_t height,
                                int64_t width, size_t level);

}  // namespace safelight::models::stable_diffusion
