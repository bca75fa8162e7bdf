#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "diffusion/sigma_schedule.h"
#include "engine/engine.h"
#include "models/unet/self_attentions.h"
#include "pipelines/recommended.h"
#include "text/chunks.h"
#include "text/emphasis.h"
#include "weights/adapter.h"

namespace safelight::pipelines {

/// What a loaded model is, for those who run it.
struct ModelTraits {
  std::string family;  ///< "Stable Diffusion 1.x"
  int64_t latent_channels = 4;
  int64_t factor = 8;                 ///< pixels a latent covers along one side
  int64_t width = 512, height = 512;  ///< its own picture size
  int64_t max_clip_skip = 12;
  std::vector<int64_t> text_widths;  ///< of the tokens of each text encoder, for learned words
  /// Channels of a picture that the denoiser must see beside the latents: of inpainting and
  /// instruct-pix2pix models, which draw nothing from text alone.
  int64_t picture_channels = 0;
  models::unet::SelfAttentions self_attentions;  ///< of the denoiser
  diffusion::NoiseSchedule schedule;
  diffusion::AlignedSteps aligned = diffusion::AlignedSteps::kSd1;
  Recommended recommended;
  std::string_view tiny_decoder = "taesd";  ///< of its latents: "taesd" or "taesdxl"
  /// Width of the text of a model whose prediction a try may have to tell (see probe_prediction);
  /// 0 for others.
  int64_t probe_width = 0;
};

/// A prompt as the denoiser reads it.
struct Conditioning {
  Tensor context;  ///< [1, T, C]
  Tensor vector;   ///< [1, V]: the pooled text and PictureFacts, for families that have them
};

/// What families with micro-conditioning (Podell et al. 2023, section 2.2) are told about the
/// picture, in pixels; others leave it unread.
struct PictureFacts {
  int64_t original_width = 0, original_height = 0;
  int64_t crop_left = 0, crop_top = 0;
  int64_t target_width = 0, target_height = 0;
  double aesthetic_score = 6;
  bool operator==(const PictureFacts&) const = default;
};

struct EncodeOptions {
  int64_t clip_skip = 1;  ///< in [1, max_clip_skip], as SD WebUI counts: 1 for none
  text::Emphasis emphasis = text::Emphasis::kOriginal;
  bool negative = false;  ///< a negative prompt: some families have zeros for an empty one
  PictureFacts facts;
  bool operator==(const EncodeOptions&) const = default;
};

/// Ways to do less work in the steps, all off by default; docs/speed.md tells what each gains and
/// how far its pictures are from the exact ones.
struct LessWork {
  double token_merging = 0;    ///< ratio of tokens merged for self-attention (Bolya & Hoffman 2023)
  int64_t cache_interval = 1;  ///< of so many steps one runs the whole network (Ma et al. 2023)
  int64_t cache_depth = 1;  ///< input and output blocks that run in every step; at most all but one
};

/// How the denoiser is evaluated.
struct PassOptions {
  LessWork less_work;
  std::vector<int64_t> perturbed = {};  ///< see models::unet::PassOptions
  bool attention_map = false;           ///< Predictor::attention_map() will be asked for
};

/// The denoiser, made ready for some conditionings and a size.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// x [N, C, h, w], already scaled, one picture for each conditioning, and a fractional timestep
  /// -> the network's output [N, C, h, w]. Errors: kCancelled.
  virtual Result<Tensor> operator()(const Tensor& x, double timestep,
                                    const engine::StopFlag* stop) = 0;
  /// Which step of the run the next calls are of, for LessWork::cache_interval.
  virtual void enter_step(int64_t step) = 0;
  /// Where the middle of the network looked in the last call that ran it, if that was asked for:
  /// what each place received from all others, [N, rows, columns].
  virtual Tensor attention_map() const { return {}; }
};

/// A latent diffusion model on an engine. One thread at a time.
class LatentModel {
 public:
  virtual ~LatentModel() = default;
  virtual const ModelTraits& traits() const = 0;
  /// What else a checkpoint says of itself, where it is not its family's: size, noise levels,
  /// recommendations. The rest stays.
  virtual void set_traits(ModelTraits traits) = 0;

  /// Runs the text encoders over each chunk and joins the results: 77 tokens a chunk. Learned words
  /// have vectors of the model's text_widths.
  virtual Result<Conditioning> encode(const std::vector<text::TokenChunk>& chunks,
                                      const EncodeOptions& options,
                                      const engine::StopFlag* stop) = 0;

  /// One picture of h x w latents for each conditioning; all of them have the same number of
  /// tokens.
  virtual Result<std::unique_ptr<Predictor>> predictor(
      const std::vector<const Conditioning*>& conditionings, int64_t height, int64_t width,
      const PassOptions& options, const engine::StopFlag* stop) = 0;

  /// Latents [N, C, h, w] as samplers leave them -> pictures [N, 3, H, W], about [-1, 1].
  virtual Result<Tensor> decode(const Tensor& latents, const engine::StopFlag* stop) = 0;

  /// Bytes of packed weights.
  virtual uint64_t bytes() const = 0;

  /// Which adapters act from now on; none for the model as it was, bit for bit. What adapters did
  /// not change is neither read nor packed again, and going back to those of before costs nothing.
  /// Errors: kCorruptFile for an adapter whose shapes do not fit, kUnsupported for one that has
  /// nothing for this model, or for a model without adapters; then those of before stay.
  virtual Status set_adapters(const std::vector<weights::AdapterUse>& uses) {
    if (uses.empty()) return {};
    return Error{ErrorCode::kUnsupported, "this model takes no LoRA"};
  }
  /// What tells the text encoders as the adapters made them from those of other adapters; empty
  /// without. For caches of conditionings.
  virtual std::string text_identity() const { return {}; }
};

}  // namespace safelight::pipelines
