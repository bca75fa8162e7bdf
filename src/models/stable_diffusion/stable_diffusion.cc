#include "models/stable_diffusion/stable_diffusion.h"

#include <boost/json/object.hpp>

#include "models/stable_diffusion/probe.h"

namespace safelight::models::stable_diffusion {
namespace {

using Network = NetworkNames::Network;

constexpr float kScaleOfSdxl = 0.13025F;  // of latents
constexpr int64_t kLayersOfH = 24;        // OpenCLIP-H's text encoder
constexpr int64_t kWidthOfBigG = 1280;    // of OpenCLIP-bigG's states and pooled text

/// A text encoder that is there, and its names.
struct FoundText {
  NetworkNames names;
  TextConfig config;
};

/// Where each network is, and its sizes.
struct Found {
  Config config;
  std::vector<NetworkNames> text;
  NetworkNames unet, autoencoder;
};

Result<std::optional<FoundText>> find_text(const weights::TensorIndex& index, Network network) {
  auto names = NetworkNames::detect(index, network);
  if (!names) return std::optional<FoundText>();
  const Probe probe(index, *names);
  const auto config = probe_text(probe);
  if (!config) return config.error();
  return std::optional<FoundText>(FoundText{std::move(*names), {.network = *config}});
}

Error no_text_encoder() {
  return {ErrorCode::kUnsupported,
          "this file has no text encoder; a whole checkpoint is needed, or text encoders and VAE "
          "from files of their own"};
}

/// Stable Diffusion 1.x and 2.x: one text encoder, read behind its last layer. OpenCLIP's own files
/// have one layer more than is read.
Result<std::vector<FoundText>> choose_text(const weights::TensorIndex& index) {
  auto text = find_text(index, Network::kText);
  if (!text) return text.error();
  if (!*text) return no_text_encoder();
  FoundText found = std::move(**text);
  clip::TextConfig& network = found.config.network;
  found.config.zero_padding = !network.quick_gelu;
  const bool cut_already = network.size == 1024 && network.layers == kLayersOfH - 1;
  if (found.names.open_clip() && !cut_already) network.layers -= 1;
  if (network.layers < 1) return unsupported("its text encoder has no layers");
  return std::vector<FoundText>{std::move(found)};
}

/// The width of the pooled text of a text encoder.
Result<int64_t> pooled_width(const weights::TensorIndex& index, const NetworkNames& names) {
  return Probe(index, names).size("text_projection.weight", names.open_clip() ? 1 : 0);
}

/// SDXL: those of the text encoders whose widths together are what the UNet reads; the last one
/// gives the pooled text.
Result<std::vector<FoundText>> choose_texts(const weights::TensorIndex& index, int64_t context) {
  std::vector<FoundText> found;
  int64_t width = 0;
  for (const Network network : {Network::kText, Network::kSecondText}) {
    auto text = find_text(index, network);
    if (!text) return text.error();
    if (!*text) continue;
    found.push_back(std::move(**text));
    width += found.back().config.network.size;
  }
  if (found.empty()) return no_text_encoder();
  // A refiner beside the base's text encoders reads the second alone.
  if (width != context && found.size() == 2 && found[1].config.network.size == context)
    found.erase(found.begin());
  for (FoundText& text : found) {
    text.config.last_but_one = true;
    text.config.zero_padding = &text == &found.back();
    if (text.config.network.layers < 2) return unsupported("its text encoder has one layer");
  }
  const auto pooled = pooled_width(index, found.back().names);
  if (!pooled) return pooled.error();
  found.back().config.network.pooled = *pooled;
  return found;
}

/// The scale of latents: diffusers' config tells it, else the family.
float latent_scale(const weights::TensorIndex& index, const unet::Config& unet) {
  const auto config = index.configs.find("vae");
  if (config != index.configs.end() && config->second.is_object()) {
    const auto* told = config->second.get_object().if_contains("scaling_factor");
    const double scale = told != nullptr && told->is_double() ? told->get_double() : 0;
    if (scale > 1e-3 && scale < 1e3) return static_cast<float>(scale);
  }
  return unet.vector > 0 ? kScaleOfSdxl : autoencoder_kl::Config().scale;
}

/// The numbers of a list of diffusers' config of the VAE; empty for anything but one a channel.
std::vector<float> channel_numbers(const weights::TensorIndex& index, std::string_view key,
                                   int64_t channels) {
  const auto config = index.configs.find("vae");
  if (config == index.configs.end() || !config->second.is_object()) return {};
  const boost::json::value* list = config->second.get_object().if_contains(key);
  if (list == nullptr || !list->is_array()) return {};
  std::vector<float> numbers;
  for (const boost::json::value& number : list->get_array()) {
    if (number.is_number()) numbers.push_back(number.to_number<float>());
  }
  return static_cast<int64_t>(numbers.size()) == channels ? numbers : std::vector<float>();
}

/// What denoisers see of latents: as diffusers' config tells, as ComfyUI's marker of Playground
/// v2.5 means (its latents have spreads and means of their own), else as the family.
void set_latent_scale(const weights::TensorIndex& index, const unet::Config& unet,
                      autoencoder_kl::Config& config) {
  config.scale = latent_scale(index, unet);
  config.latent_means = channel_numbers(index, "latents_mean", config.latent_channels);
  config.latent_deviations = channel_numbers(index, "latents_std", config.latent_channels);
  if (index.contains("edm_mean") && index.contains("edm_std") && config.latent_channels == 4) {
    config.scale = 0.5F;
    config.latent_means = {-1.6574F, 1.886F, -1.383F, 2.5155F};
    config.latent_deviations = {8.4927F, 5.9022F, 6.5498F, 5.2299F};
  }
  if (config.latent_means.empty() || config.latent_deviations.empty()) {
    config.latent_means.clear();
    config.latent_deviations.clear();
  }
}

/// Whether the networks fit each other.
Status check_together(const Config& config) {
  int64_t width = 0;
  for (const TextConfig& text : config.text) width += text.network.size;
  const unet::Config& unet = config.unet;
  const int64_t latent = config.autoencoder.latent_channels;
  if (unet.context != width) {
    return unsupported(fmt::format("its UNet reads text {} wide; its text encoders write {}",
                                   unet.context, width));
  }
  const int64_t more = config.picture_channels();
  if (unet.out_channels != latent || (more != 0 && more != latent && more != latent + 1)) {
    return unsupported(fmt::format(
        "its UNet has {} input and {} output channels for {} latent "
        "ones; {}, {} (to change pictures) or {} (inpainting) go in",
        unet.in_channels, unet.out_channels, latent, latent, 2 * latent, 2 * latent + 1));
  }
  if (unet.vector == 0) return {};
  const int64_t pooled = config.text.back().network.pooled;
  if (unet.vector == pooled + config.facts * Config::kFactSize &&
      (config.facts == Config::kFactsOfBase || config.tells_score()))
    return {};
  return unsupported(
      fmt::format("its UNet is told {} numbers; {} of the text and {} or {} about the picture are "
                  "known",
                  unet.vector, pooled, Config::kFactsOfBase * Config::kFactSize,
                  Config::kFactsOfRefiner * Config::kFactSize));
}

int64_t side_of(const unet::Config& unet) {
  if (unet.vector > 0) return 1024;
  // Stable Diffusion 2's base model, which predicts noise, draws at 512; those that predict v at
  // 768.
  return unet.head_size > 0 ? 768 : 512;
}

/// What follows from the sizes, and what the file tells beside them.
void complete(const weights::TensorIndex& index, Config& config) {
  const bool is_xl = config.unet.vector > 0;
  if (is_xl)
    config.facts = (config.unet.vector - config.text.back().network.pooled) / Config::kFactSize;
  config.heeds_clip_skip = !is_xl && config.text.front().network.quick_gelu;
  set_latent_scale(index, config.unet, config.autoencoder);
  config.name = variant_name(config);
  config.side = side_of(config.unet);
}

Result<Found> find(const weights::TensorIndex& index) {
  Found found;
  auto unet_names = NetworkNames::detect(index, Network::kUnet);
  if (!unet_names) return unsupported("its UNet is missing");
  found.unet = std::move(*unet_names);
  const auto unet = probe_unet(Probe(index, found.unet));
  if (!unet) return unet.error();
  found.config.unet = *unet;
  auto texts = unet->vector > 0 ? choose_texts(index, unet->context) : choose_text(index);
  if (!texts) return texts.error();
  for (FoundText& text : *texts) {
    found.text.push_back(std::move(text.names));
    found.config.text.push_back(text.config);
  }
  auto autoencoder_names = NetworkNames::detect(index, Network::kAutoencoder);
  if (!autoencoder_names) {
    return Error{ErrorCode::kCorruptFile,
                 "this checkpoint has no VAE; a whole file is needed, or a VAE from another"};
  }
  found.autoencoder = std::move(*autoencoder_names);
  const auto autoencoder = probe_autoencoder(Probe(index, found.autoencoder));
  if (!autoencoder) return autoencoder.error();
  found.config.autoencoder = *autoencoder;
  complete(index, found.config);
  if (Status fits = check_together(found.config); !fits) return fits.error();
  return found;
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
  const std::string& identity = index.identity_of(names.component());
  if (!identity.empty()) bound->identity = identity + "-" + part;
  return Bound<NetworkType>{std::move(network), std::move(*bound)};
}

}  // namespace

bool matches(const weights::TensorIndex& index) {
  const auto unet = NetworkNames::detect(index, Network::kUnet);
  return unet && has_cross_attention(Probe(index, *unet));
}

std::string describe(const weights::TensorIndex& index) {
  const auto names = NetworkNames::detect(index, Network::kUnet);
  if (!names) {
    weights::TensorIndex named;
    const bool alone =
        index.contains("conv_in.weight") || index.contains("input_blocks.0.0.weight");
    if (!alone || !named.merge(index, "unet.")) return "";
    return describe(named);
  }
  const auto unet = probe_unet(Probe(index, *names));
  if (!unet) return "";
  Config config;
  config.unet = *unet;
  // bigG's pooled text is as wide as its states; a refiner reads it alone.
  if (unet->vector > 0) config.facts = (unet->vector - kWidthOfBigG) / Config::kFactSize;
  return variant_name(config);
}

int64_t own_side(const weights::TensorIndex& index) {
  const auto names = NetworkNames::detect(index, Network::kUnet);
  const auto unet = probe_unet(Probe(index, *names));
  return unet ? side_of(*unet) : Config().side;
}

Result<Config> probe(const weights::TensorIndex& index) {
  auto found = find(index);
  if (!found) return found.error();
  return std::move(found->config);
}

Result<Model> bind(const weights::TensorIndex& index) {
  const auto found = find(index);
  if (!found) return found.error();
  const Config& config = found->config;
  const auto what = [&](const char* network) { return network + (" of " + config.name); };
  std::vector<Bound<clip::TextEncoder>> text;
  for (size_t i = 0; i < config.text.size(); ++i) {
    auto bound = bind_network<clip::TextEncoder>(
        index, found->text[i], config.text[i].network,
        i == 0 ? std::string("text") : fmt::format("text{}", i + 1), what("a text encoder"));
    if (!bound) return bound.error();
    text.push_back(std::move(*bound));
  }
  auto unet = bind_network<unet::UNet>(index, found->unet, config.unet, "unet", what("the UNet"));
  if (!unet) return unet.error();
  auto autoencoder = bind_network<autoencoder_kl::AutoencoderKL>(
      index, found->autoencoder, config.autoencoder, "vae", what("the VAE"));
  if (!autoencoder) return autoencoder.error();
  return Model{config, std::move(text), std::move(*unet), std::move(*autoencoder)};
}

}  // namespace safelight::models::stable_diffusion
