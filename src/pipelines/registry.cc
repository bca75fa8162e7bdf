#include "pipelines/registry.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/checkpoint_levels.h"
#include "pipelines/stable_diffusion_model.h"
#include "weights/components.h"
#include "weights/open_weights.h"
#include "weights/recognise.h"

namespace safelight::pipelines {
namespace {

constexpr std::string_view kResolutionKey = "modelspec.resolution";
/// Of Stable Diffusion 2's base model, the one of its family that predicts noise.
constexpr PictureSize kSd2Base{512, 512};
constexpr int64_t kSd2Side = 768;  // of the others

struct Family {
  std::string_view name;
  bool (*matches)(const weights::TensorIndex& index);
  Result<std::unique_ptr<LatentModel>> (*load)(engine::Engine& engine,
                                               const weights::TensorIndex& index);
  int64_t (*own_side)(const weights::TensorIndex& index);  ///< of its pictures, in pixels
};

/// The families of this build, in the order in which they are tried.
constexpr std::array kFamilies = {Family{"Stable Diffusion 1.x, 2.x and SDXL",
                                         &models::stable_diffusion::matches, &load_stable_diffusion,
                                         &models::stable_diffusion::own_side}};

/// "512x768", sides within what can be drawn; nothing for other text.
std::optional<PictureSize> parse_size(std::string_view text) {
  PictureSize size;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, size.width);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != 'x') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, size.height);
  const auto fits = [](int64_t side) { return side >= 64 && side <= 8192 && side % 8 == 0; };
  if (second.ec != std::errc() || second.ptr != end || !fits(size.width) || !fits(size.height))
    return std::nullopt;
  return size;
}

std::optional<PictureSize> own_size(const weights::TensorIndex& index,
                                    const std::filesystem::path& path) {
  const auto found = index.metadata.find(kResolutionKey);
  if (found != index.metadata.end()) return parse_size(found->second);
  std::filesystem::path beside = path;
  beside.replace_extension(".json");
  const Result<std::string> text = read_file(beside, 1 << 20);
  if (!text) return std::nullopt;
  const Result<boost::json::value> json = parse_json(*text);
  if (!json || !json->is_object()) return std::nullopt;
  const boost::json::value* value = json->get_object().if_contains(kResolutionKey);
  return value && value->is_string() ? parse_size(value->get_string()) : std::nullopt;
}

weights::SeparateNetwork network_of(ModelPart part) {
  switch (part) {
    case ModelPart::kUnet:
      return weights::SeparateNetwork::kUnet;
    case ModelPart::kTextEncoder:
      return weights::SeparateNetwork::kTextEncoder;
    case ModelPart::kVae:
      break;
  }
  return weights::SeparateNetwork::kVae;
}

Result<const Family*> family_of(const weights::TensorIndex& index,
                                const std::filesystem::path& path) {
  for (const Family& family : kFamilies) {
    if (family.matches(index)) return &family;
  }
  return Error{ErrorCode::kUnsupported,
               fmt::format("{}: no model family that this build knows ({}). 'safelight inspect' "
                           "tells what the file is",
                           path.filename().string(), kFamilies[0].name)};
}

/// The networks of a model in one index.
Result<weights::TensorIndex> open_model(const ModelSource& source) {
  Result<weights::TensorIndex> index = weights::open_weights(source.path);
  if (!index) return index;
  index->identity = source.sha256;
  const weights::Identity kind = weights::identify(*index);
  if (kind.kind == weights::FileKind::kDenoiser && kind.networks.front().prefix.empty()) {
    weights::TensorIndex model;
    Status used = weights::use_network(model, std::move(*index), weights::SeparateNetwork::kUnet);
    if (!used) return used.error();
    index = std::move(model);
  }
  for (const PartFile& part : source.parts) {
    auto opened = weights::open_weights(part.path);
    if (!opened) return opened;
    opened->identity = part.sha256;
    if (Status used = weights::use_network(*index, std::move(*opened), network_of(part.part));
        !used)
      return used.error();
  }
  if (kind.kind == weights::FileKind::kDenoiser &&
      weights::identify(*index).kind == weights::FileKind::kDenoiser) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: holds a UNet alone. Name a whole checkpoint as the model and this "
                    "file as its unet, or give vae and text_encoder besides",
                    source.path.filename().string())};
  }
  return index;
}

}  // namespace

Result<std::unique_ptr<LatentModel>> load_model(engine::Engine& engine, const ModelSource& source) {
  const std::string name = source.path.filename().string();
  Result<weights::TensorIndex> index = open_model(source);
  if (!index) return index.error();
  const auto family = family_of(*index, source.path);
  if (!family) return family.error();
  auto model = (*family)->load(engine, *index);
  if (!model) return model.error().in(name);
  const CheckpointLevels levels = told_levels(*index, source.path, source.prediction);
  diffusion::Prediction prediction = diffusion::Prediction::kEpsilon;
  if (!levels.prediction && (*model)->traits().probe_width > 0) {
    const auto probed = probe_prediction(**model, (*model)->traits().probe_width);
    if (!probed) return probed.error().in(name);
    prediction = *probed;
  }
  ModelTraits traits = (*model)->traits();
  traits.schedule = levels.schedule(prediction);
  const bool is_2_base =
      traits.probe_width > 0 && traits.schedule.prediction() == diffusion::Prediction::kEpsilon;
  const PictureSize size =
      own_size(*index, source.path)
          .value_or(is_2_base ? kSd2Base : PictureSize{traits.width, traits.height});
  traits.width = size.width;
  traits.height = size.height;
  traits.recommended = recommended(*index, source.path);
  (*model)->set_traits(std::move(traits));
  return model;
}

Result<std::unique_ptr<LatentModel>> load_model(engine::Engine& engine,
                                                const std::filesystem::path& path) {
  return load_model(engine, ModelSource{.path = path});
}

Result<std::shared_ptr<TaesdDecoder>> load_taesd(engine::Engine& engine,
                                                 const std::filesystem::path& path) {
  const Result<weights::TensorIndex> index = weights::open_weights(path);
  if (!index) return index.error();
  auto model = models::taesd::bind(*index);
  if (!model) return model.error().in(path.filename().string());
  return std::make_shared<TaesdDecoder>(engine, std::move(*model));
}

Result<CheckpointFacts> checkpoint_facts(const std::filesystem::path& path) {
  const Result<weights::TensorIndex> index = weights::open_weights(path);
  if (!index) return index.error();
  const auto family = family_of(*index, path);
  if (!family) return family.error();
  const int64_t side = (*family)->own_side(*index);
  PictureSize size{.width = side, .height = side};
  const CheckpointLevels levels = told_levels(*index, path, "auto");
  if (side == kSd2Side && levels.prediction == diffusion::Prediction::kEpsilon) size = kSd2Base;
  return CheckpointFacts{.size = own_size(*index, path).value_or(size),
                         .recommended = recommended(*index, path)};
}

}  // namespace safelight::pipelines
