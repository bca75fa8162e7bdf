#include "pipelines/registry.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/file.h"
#include "base/json.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/stable_diffusion_model.h"
#include "weights/open_weights.h"

namespace safelight::pipelines {
namespace {

constexpr std::string_view kResolutionKey = "modelspec.resolution";

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

}  // namespace

Result<std::unique_ptr<LatentModel>> load_model(engine::Engine& engine,
                                                const std::filesystem::path& path,
                                                const std::string& identity) {
  Result<weights::TensorIndex> index = weights::open_weights(path);
  if (!index) return index.error();
  index->identity = identity;
  const auto family = family_of(*index, path);
  if (!family) return family.error();
  auto model = (*family)->load(engine, *index);
  if (!model) return model.error().in(path.filename().string());
  if (const std::optional<PictureSize> size = own_size(*index, path))
    (*model)->set_own_size(size->width, size->height);
  return model;
}

Result<PictureSize> own_picture_size(const std::filesystem::path& path) {
  const Result<weights::TensorIndex> index = weights::open_weights(path);
  if (!index) return index.error();
  const auto family = family_of(*index, path);
  if (!family) return family.error();
  const int64_t side = (*family)->own_side(*index);
  return own_size(*index, path).value_or(PictureSize{.width = side, .height = side});
}

}  // namespace safelight::pipelines
