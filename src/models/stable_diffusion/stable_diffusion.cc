#include "models/stable_diffusion/stable_diffusion.h"

#include <fmt/format.h>

#include "models/stable_diffusion/names.h"

namespace safelight::models::stable_diffusion {
namespace {

using Network = NetworkNames::Network;
using Shape = std::vector<int64_t>;

constexpr int64_t kMaxParts =
    64;  // levels, blocks or layers: far above any real one, so that counting ends
constexpr int64_t kMaxWidth = 16384;  // channels
constexpr int64_t kHeadSize = 64;     // of CLIP's text encoders
constexpr int64_t kNormGroups = 32;
constexpr int64_t kUnetHeads = 8;

/// Reads sizes from the shapes of one network's tensors.
class Probe {
 public:
  Probe(const weights::TensorIndex& index, const NetworkNames& names)
      : index_(index), names_(names) {}

  /// The shape of the tensor that the reference calls `name`, or null.
  const Shape* shape(const std::string& name) const {
    const weights::TensorView* tensor = index_.find(names_.in_file(name));
    return tensor ? &tensor->shape : nullptr;
  }
  bool has(const std::string& name) const { return shape(name) != nullptr; }

  /// Dimension `axis` of a tensor. Errors: kCorruptFile when it is missing, of lower rank, or out
  /// of [1, kMaxWidth].
  Result<int64_t> size(const std::string& name, size_t axis, int64_t limit = kMaxWidth) const {
    const Shape* found = shape(name);
    if (!found)
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("tensor '{}' is missing", names_.in_file(name))};
    if (axis >= found->size() || (*found)[axis] < 1 || (*found)[axis] > limit) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("tensor '{}' has a shape that no model of this family has",
                               names_.in_file(name))};
    }
    return (*found)[axis];
  }

  /// The least n below kMaxParts for which there is no tensor named by `name(n)`.
  template <class Name>
  int64_t count(Name name) const {
    int64_t n = 0;
    while (n < kMaxParts && has(name(n))) ++n;
    return n;
  }

 private:
  const weights::TensorIndex& index_;
  const NetworkNames& names_;
};

Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported,
          "this checkpoint is not of Stable Diffusion 1.x's form: " + what};
}

Result<clip::TextConfig> probe_text(const Probe& probe) {
  clip::TextConfig config;
  const auto vocabulary = probe.size("embeddings.token_embedding.weight", 0, 1 << 20);
  const auto size = probe.size("embeddings.token_embedding.weight", 1);
  const auto positions = probe.size("embeddings.position_embedding.weight", 0);
  const auto inner = probe.size("encoder.layers.0.mlp.fc1.weight", 0, 8 * kMaxWidth);
  for (const auto* result : {&vocabulary, &size, &positions, &inner}) {
    if (!*result) return result->error();
  }
  config.vocabulary = *vocabulary;
  config.size = *size;
  config.positions = *positions;
  config.intermediate = *inner;
  config.layers =
      probe.count([](int64_t n) { return fmt::format("encoder.layers.{}.layer_norm1.weight", n); });
  if (config.size % kHeadSize != 0) {
    return unsupported(
        fmt::format("its text encoder is {} wide, not a multiple of {}", config.size, kHeadSize));
  }
  config.heads = config.size / kHeadSize;
  const clip::TextConfig published;
  if (config.vocabulary < published.vocabulary || config.positions != published.positions) {
    return unsupported(fmt::format(
        "its text encoder has {} tokens and {} positions; {} and {} are needed", config.vocabulary,
        config.positions, published.vocabulary, published.positions));
  }
  return config;
}

/// One residual block's width and transformer depth, where the reference calls it `prefix`.
Result<unet::LevelConfig> probe_block(const Probe& probe, const std::string& prefix) {
  const Result<int64_t> channels = probe.size(prefix + ".0.out_layers.3.weight", 0);
  if (!channels) return channels.error();
  if (*channels % kNormGroups != 0) {
    return unsupported(
        fmt::format("a block has {} channels, not a multiple of {}", *channels, kNormGroups));
  }
  const int64_t depth = probe.count(
      [&](int64_t n) { return fmt::format("{}.1.transformer_blocks.{}.norm1.weight", prefix, n); });
  if (depth > 0 && *channels % kUnetHeads != 0) {
    return unsupported(fmt::format("a transformer has {} channels, not a multiple of {} heads",
                                   *channels, kUnetHeads));
  }
  return unet::LevelConfig{*channels, depth};
}

/// Walks the input blocks in order: residual blocks fill a level, a strided convolution begins the
/// next.
Status probe_levels(const Probe& probe, unet::Config& config) {
  int64_t in_level = 0;
  const int64_t count = probe.count([&](int64_t n) {
    const std::string prefix = fmt::format("input_blocks.{}.0.", n);
    if (n == 0) return prefix + "weight";
    return prefix + (probe.has(prefix + "op.weight") ? "op.weight" : "in_layers.0.weight");
  });
  for (int64_t n = 1; n < count; ++n) {
    const std::string prefix = fmt::format("input_blocks.{}", n);
    if (probe.has(prefix + ".0.op.weight")) {
      in_level = 0;
      continue;
    }
    const Result<unet::LevelConfig> block = probe_block(probe, prefix);
    if (!block) return block.error();
    if (in_level++ == 0) {
      config.levels.push_back(*block);
    } else if (config.levels.back().channels != block->channels ||
               config.levels.back().transformer_depth != block->transformer_depth) {
      return unsupported("the blocks of a level differ");
    }
    if (config.levels.size() == 1) config.blocks = in_level;
  }
  if (config.levels.empty()) return unsupported("its UNet has no levels");
  return {};
}

Result<unet::Config> probe_unet(const Probe& probe) {
  unet::Config config;
  config.heads = kUnetHeads;
  const auto model_channels = probe.size("input_blocks.0.0.weight", 0);
  const auto in_channels = probe.size("input_blocks.0.0.weight", 1);
  const auto out_channels = probe.size("out.2.weight", 0);
  for (const auto* result : {&model_channels, &in_channels, &out_channels}) {
    if (!*result) return result->error();
  }
  config.model_channels = *model_channels;
  config.in_channels = *in_channels;
  config.out_channels = *out_channels;
  if (Status levels = probe_levels(probe, config); !levels) return levels.error();
  const Result<unet::LevelConfig> middle = probe_block(probe, "middle_block");
  if (!middle) return middle.error();
  config.middle_depth = middle->transformer_depth;
  if (config.middle_depth == 0 || config.model_channels % kNormGroups != 0) {
    return unsupported("its UNet has no transformer in the middle");
  }
  const Result<int64_t> context =
      probe.size("middle_block.1.transformer_blocks.0.attn2.to_k.weight", 1);
  if (!context) return context.error();
  config.context = *context;
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

template <class NetworkType, class ConfigType>
Result<Bound<NetworkType>> bind_network(const weights::TensorIndex& index,
                                        const NetworkNames& names, const ConfigType& config,
                                        const std::string& part, const std::string& what) {
  NetworkType network(config);
  const std::vector<weights::Param> params = nn::name_params(network, "");
  auto bound = weights::bind(
      params, index, [&](const std::string& name) { return names.in_file(name); }, what);
  if (!bound) return bound.error();
  if (!index.identity.empty()) bound->identity = index.identity + "-" + part;
  return Bound<NetworkType>{std::move(network), std::move(*bound)};
}

}  // namespace

bool matches(const weights::TensorIndex& index) {
  const auto unet = NetworkNames::detect(index, Network::kUnet);
  const auto text = NetworkNames::detect(index, Network::kText);
  if (!unet || !text) return false;
  const Probe probe(index, *unet);
  // SDXL's UNet has a label embedding; SD 2's text encoder lies under other names.
  return probe.has("middle_block.1.transformer_blocks.0.attn2.to_k.weight") &&
         !probe.has("label_emb.0.0.weight") &&
         !index.contains("unet.add_embedding.linear_1.weight");
}

Result<Model> bind(const weights::TensorIndex& index) {
  const auto text_names = NetworkNames::detect(index, Network::kText);
  const auto unet_names = NetworkNames::detect(index, Network::kUnet);
  const auto autoencoder_names = NetworkNames::detect(index, Network::kAutoencoder);
  if (!text_names || !unet_names) return unsupported("its UNet or text encoder is missing");
  if (!autoencoder_names) {
    return Error{ErrorCode::kCorruptFile,
                 "this checkpoint has no VAE; a whole Stable Diffusion 1.x file is needed"};
  }
  const auto text = probe_text(Probe(index, *text_names));
  if (!text) return text.error();
  const auto unet = probe_unet(Probe(index, *unet_names));
  if (!unet) return unet.error();
  const auto autoencoder = probe_autoencoder(Probe(index, *autoencoder_names));
  if (!autoencoder) return autoencoder.error();
  if (unet->context != text->size) {
    return unsupported(fmt::format("its UNet reads text {} wide; its text encoder writes {}",
                                   unet->context, text->size));
  }
  if (unet->in_channels != autoencoder->latent_channels ||
      unet->out_channels != autoencoder->latent_channels) {
    return unsupported(fmt::format(
        "its UNet has {} input and {} output channels for {} latent ones (inpainting and "
        "instruct models come later)",
        unet->in_channels, unet->out_channels, autoencoder->latent_channels));
  }
  auto bound_text =
      bind_network<clip::TextEncoder>(index, *text_names, *text, "text", "an SD 1.x text encoder");
  if (!bound_text) return bound_text.error();
  auto bound_unet = bind_network<unet::UNet>(index, *unet_names, *unet, "unet", "an SD 1.x UNet");
  if (!bound_unet) return bound_unet.error();
  auto bound_autoencoder = bind_network<autoencoder_kl::AutoencoderKL>(
      index, *autoencoder_names, *autoencoder, "vae", "an SD 1.x VAE");
  if (!bound_autoencoder) return bound_autoencoder.error();
  return Model{{*text, *unet, *autoencoder},
               std::move(*bound_text),
               std::move(*bound_unet),
               std::move(*bound_autoencoder)};
}

}  // namespace safelight::models::stable_diffusion
