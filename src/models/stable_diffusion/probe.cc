#include "models/stable_diffusion/probe.h"

#include <algorithm>
#include <boost/json/object.hpp>

namespace safelight::models::stable_diffusion {
namespace {

constexpr int64_t kTextHeadSize = 64;  // of every published CLIP's text encoder
constexpr int64_t kNormGroups = 32;
constexpr int64_t kUnetHeads = 8;      // of Stable Diffusion 1.x
constexpr int64_t kUnetHeadSize = 64;  // of all later ones
constexpr int64_t kContextOf1 = 768, kContextOf2 = 1024;
/// Widths of OpenCLIP's H and bigG.
constexpr int64_t kWidthOfH = 1024, kWidthOfBigG = 1280;

/// Whether a text encoder has OpenAI's activation: by its config where there is one, else by whose
/// names and sizes it has.
bool has_quick_gelu(const Probe& probe, int64_t width) {
  if (probe.names().open_clip()) return false;
  const auto config = probe.index().configs.find(probe.names().component());
  if (config != probe.index().configs.end() && config->second.is_object()) {
    const auto* act = config->second.get_object().if_contains("hidden_act");
    if (act != nullptr && act->is_string()) return act->get_string() == "quick_gelu";
  }
  return width != kWidthOfH && width != kWidthOfBigG &&
         probe.names().component() != "text_encoder_2";
}

struct BlockSizes {
  int64_t channels = 0, depth = 0;
};

/// One residual block's width and transformer depth, where the reference calls it `prefix`.
Result<BlockSizes> probe_block(const Probe& probe, const std::string& prefix) {
  const Result<int64_t> channels = probe.size(prefix + ".0.out_layers.3.weight", 0);
  if (!channels) return channels.error();
  if (*channels % kNormGroups != 0) {
    return unsupported(
        fmt::format("a block has {} channels, not a multiple of {}", *channels, kNormGroups));
  }
  const int64_t depth = probe.count(
      [&](int64_t n) { return fmt::format("{}.1.transformer_blocks.{}.norm1.weight", prefix, n); });
  return BlockSizes{*channels, depth};
}

/// Walks the input blocks in order: residual blocks fill a level, a strided convolution begins the
/// next.
Status probe_way_down(const Probe& probe, unet::Config& config) {
  bool begins = true;
  const int64_t count = probe.count([&](int64_t n) {
    const std::string prefix = fmt::format("input_blocks.{}.0.", n);
    if (n == 0) return prefix + "weight";
    return prefix + (probe.has(prefix + "op.weight") ? "op.weight" : "in_layers.0.weight");
  });
  for (int64_t n = 1; n < count; ++n) {
    const std::string prefix = fmt::format("input_blocks.{}", n);
    if (probe.has(prefix + ".0.op.weight")) {
      begins = true;
      continue;
    }
    const Result<BlockSizes> block = probe_block(probe, prefix);
    if (!block) return block.error();
    if (begins) config.levels.push_back({.channels = block->channels, .down = {}, .up = {}});
    begins = false;
    if (config.levels.back().channels != block->channels)
      return unsupported("the blocks of a level of its UNet differ in width");
    config.levels.back().down.push_back(block->depth);
  }
  if (config.levels.empty()) return unsupported("its UNet has no levels");
  return {};
}

Status probe_way_up(const Probe& probe, unet::Config& config) {
  int64_t n = 0;
  for (size_t level = config.levels.size(); level-- > 0;) {
    unet::LevelConfig& blocks = config.levels[level];
    for (size_t i = 0; i <= blocks.down.size(); ++i) {
      const Result<BlockSizes> block = probe_block(probe, fmt::format("output_blocks.{}", n++));
      if (!block) return block.error();
      if (block->channels != blocks.channels)
        return unsupported("its UNet's ways down and up differ in width");
      blocks.up.push_back(block->depth);
    }
  }
  return {};
}

Status probe_middle(const Probe& probe, unet::Config& config) {
  config.middle_blocks = config.middle_depth = 0;
  if (!probe.has("middle_block.0.out_layers.3.weight")) return {};
  const Result<BlockSizes> block = probe_block(probe, "middle_block");
  if (!block) return block.error();
  config.middle_blocks = block->depth > 0 ? 2 : 1;
  config.middle_depth = block->depth;
  if (probe.has("middle_block.1.in_layers.0.weight"))
    return unsupported("its UNet has no transformer between two blocks in the middle");
  return {};
}

/// The name of some transformer of the UNet, empty where there is none.
std::string first_transformer(const Probe& probe) {
  for (int64_t n = 1; n < Probe::kMaxParts; ++n) {
    std::string prefix = fmt::format("input_blocks.{}.1.", n);
    if (probe.has(prefix + "transformer_blocks.0.attn2.to_k.weight")) return prefix;
  }
  return "";
}

/// Stable Diffusion 1.x has 8 heads of any size, later ones heads of 64 channels: told by the width
/// of the text they read, and where that is no published one, by the form of the projections.
Status probe_heads(const Probe& probe, const std::string& transformer, unet::Config& config) {
  const Result<int64_t> context =
      probe.size(transformer + "transformer_blocks.0.attn2.to_k.weight", 1);
  if (!context) return context.error();
  config.context = *context;
  const Probe::Shape* projection = probe.shape(transformer + "proj_in.weight");
  const bool linear = projection != nullptr && projection->size() == 2;
  const bool fixed_size = config.vector > 0 || config.context == kContextOf2 ||
                          (linear && config.context != kContextOf1);
  config.heads = kUnetHeads;
  config.head_size = fixed_size ? kUnetHeadSize : 0;
  const int64_t divisor = fixed_size ? kUnetHeadSize : kUnetHeads;
  for (const unet::LevelConfig& level : config.levels) {
    const auto attends = [](int64_t depth) { return depth > 0; };
    const bool any = std::any_of(level.down.begin(), level.down.end(), attends) ||
                     std::any_of(level.up.begin(), level.up.end(), attends);
    if (!any || level.channels % divisor == 0) continue;
    return unsupported(fmt::format("a transformer has {} channels, not a multiple of {}",
                                   level.channels, divisor));
  }
  return {};
}

}  // namespace

const Probe::Shape* Probe::shape(const std::string& name) const {
  const weights::TensorView* tensor = index_.find(names_.in_file(name).name);
  return tensor ? &tensor->shape : nullptr;
}

Result<int64_t> Probe::size(const std::string& name, size_t axis, int64_t limit) const {
  const Shape* found = shape(name);
  if (!found)
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' is missing", names_.in_file(name).name)};
  if (axis >= found->size() || (*found)[axis] < 1 || (*found)[axis] > limit) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' has a shape that no model of this family has",
                             names_.in_file(name).name)};
  }
  return (*found)[axis];
}

Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported, "this checkpoint is not of Stable Diffusion's form: " + what};
}

Result<clip::TextConfig> probe_text(const Probe& probe) {
  clip::TextConfig config;
  const auto vocabulary = probe.size("embeddings.token_embedding.weight", 0, 1 << 20);
  const auto size = probe.size("embeddings.token_embedding.weight", 1);
  const auto positions = probe.size("embeddings.position_embedding.weight", 0);
  const auto inner = probe.size("encoder.layers.0.mlp.fc1.weight", 0, 8 * Probe::kMaxWidth);
  for (const auto* result : {&vocabulary, &size, &positions, &inner}) {
    if (!*result) return result->error();
  }
  config.vocabulary = *vocabulary;
  config.size = *size;
  config.positions = *positions;
  config.intermediate = *inner;
  config.layers =
      probe.count([](int64_t n) { return fmt::format("encoder.layers.{}.layer_norm1.weight", n); });
  config.quick_gelu = has_quick_gelu(probe, config.size);
  if (config.size % kTextHeadSize != 0) {
    return unsupported(fmt::format("its text encoder is {} wide, not a multiple of {}", config.size,
                                   kTextHeadSize));
  }
  config.heads = config.size / kTextHeadSize;
  const clip::TextConfig published;
  if (config.vocabulary < published.vocabulary || config.positions != published.positions) {
    return unsupported(fmt::format(
        "its text encoder has {} tokens and {} positions; {} and {} are needed", config.vocabulary,
        config.positions, published.vocabulary, published.positions));
  }
  return config;
}

Result<unet::Config> probe_unet(const Probe& probe) {
  unet::Config config;
  const auto model_channels = probe.size("input_blocks.0.0.weight", 0);
  const auto in_channels = probe.size("input_blocks.0.0.weight", 1);
  const auto out_channels = probe.size("out.2.weight", 0);
  for (const auto* result : {&model_channels, &in_channels, &out_channels}) {
    if (!*result) return result->error();
  }
  config.model_channels = *model_channels;
  config.in_channels = *in_channels;
  config.out_channels = *out_channels;
  if (config.model_channels % kNormGroups != 0)
    return unsupported("its UNet's width is no multiple of 32");
  if (probe.has("label_emb.weight"))
    return unsupported("its UNet is told a class, as that of an upscaler");
  if (probe.has("label_emb.0.0.weight")) {
    const auto vector = probe.size("label_emb.0.0.weight", 1);
    if (!vector) return vector.error();
    config.vector = *vector;
  }
  const std::string transformer = first_transformer(probe);
  if (transformer.empty()) return unsupported("its UNet has no cross-attention");
  if (Status read = probe_way_down(probe, config); !read) return read.error();
  if (Status read = probe_way_up(probe, config); !read) return read.error();
  if (Status read = probe_middle(probe, config); !read) return read.error();
  if (Status read = probe_heads(probe, transformer, config); !read) return read.error();
  return config;
}

Result<autoencoder_kl::Config> probe_autoencoder(const Probe& probe) {
  autoencoder_kl::Config config;
  config.channels.clear();
  const int64_t levels =
      probe.count([](int64_t n) { return fmt::format("encoder.down.{}.block.0.norm1.weight", n); });
  for (int64_t level = 0; level < levels; ++level) {
    const auto channels = probe.size(fmt::format("encoder.down.{}.block.0.conv2.weight", level), 0);
    if (!channels) return channels.error();
    if (*channels % kNormGroups != 0)
      return unsupported("its VAE's widths are not multiples of 32");
    config.channels.push_back(*channels);
  }
  config.blocks =
      probe.count([](int64_t n) { return fmt::format("encoder.down.0.block.{}.norm1.weight", n); });
  const auto latent = probe.size("post_quant_conv.weight", 0);
  const auto image = probe.size("encoder.conv_in.weight", 1);
  if (!latent) return latent.error();
  if (!image) return image.error();
  config.latent_channels = *latent;
  config.image_channels = *image;
  if (levels == 0 || *image != 3 || config.factor() != 8) {
    return unsupported(fmt::format(
        "its VAE has {} levels and {} picture channels; 4 and 3 are needed", levels, *image));
  }
  return config;
}

bool has_cross_attention(const Probe& unet) { return !first_transformer(unet).empty(); }

}  // namespace safelight::models::stable_diffusion
