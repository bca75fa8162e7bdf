// What tells the variants of the family apart beside the sizes of their networks.
#include <boost/json/object.hpp>
#include <map>

#include "base/text.h"
#include "models/stable_diffusion/probe.h"

namespace safelight::models::stable_diffusion {
namespace {

/// A text of diffusers' scheduler_config.json, or a flag as "true"; empty where it is not there.
std::string scheduler_text(const weights::TensorIndex& index, std::string_view key) {
  const auto config = index.configs.find("scheduler");
  if (config == index.configs.end() || !config->second.is_object()) return "";
  const boost::json::value* value = config->second.get_object().if_contains(key);
  if (value == nullptr) return "";
  if (value->is_string()) return std::string(value->get_string());
  return value->is_bool() && value->get_bool() ? "true" : "";
}

std::optional<Prediction> prediction_of_text(std::string_view text) {
  if (text == "epsilon") return Prediction::kEpsilon;
  if (text == "v" || text == "v_prediction") return Prediction::kVelocity;
  return std::nullopt;
}

std::string metadata_text(const weights::TensorIndex& index, std::string_view key) {
  const auto found = index.metadata.find(key);
  return found == index.metadata.end() ? "" : found->second;
}

using Depths = std::vector<std::vector<int64_t>>;

Depths depths_down(const unet::Config& config) {
  Depths depths;
  for (const unet::LevelConfig& level : config.levels) depths.push_back(level.down);
  return depths;
}

/// SDXL's UNets by the transformer blocks on their way down.
const std::map<Depths, const char*> kSdxlVariants = {
    {{{0, 0}, {2, 2}, {10, 10}}, "SDXL"},
    {{{0, 0}, {2, 2}, {4, 4}}, "SSD-1B"},
    {{{0, 0}, {1, 1}, {2, 2}}, "Segmind Vega"},
    {{{0}, {2}, {5}}, "KOALA-700M"},
    {{{0}, {2}, {6}}, "KOALA-1B"},
};

std::string base_name(const Config& config) {
  const unet::Config& unet = config.unet;
  if (config.tells_score()) return "SDXL refiner";
  if (unet.vector > 0) {
    const auto known = kSdxlVariants.find(depths_down(unet));
    return known == kSdxlVariants.end() ? "SDXL" : known->second;
  }
  if (unet.head_size > 0) return "Stable Diffusion 2.x";
  // BK-SDM (Kim et al. 2023) leaves the middle out, and its smallest form the last level too.
  if (unet.middle_blocks == 0) return unet.levels.size() < 4 ? "Tiny SD" : "Small SD";
  return "Stable Diffusion 1.x";
}

}  // namespace

std::optional<Prediction> told_prediction(const weights::TensorIndex& index) {
  if (auto told = prediction_of_text(scheduler_text(index, "prediction_type"))) return told;
  if (auto told = prediction_of_text(metadata_text(index, "modelspec.prediction_type")))
    return told;
  if (index.contains("v_pred")) return Prediction::kVelocity;
  if (metadata_text(index, "modelspec.architecture").find("-768-v") != std::string::npos)
    return Prediction::kVelocity;
  for (const std::string& file : index.files()) {
    const std::string name = ascii_lower(file);
    for (const std::string_view mark : {"v-pred", "v_pred", "vpred", "768-v"}) {
      if (name.find(mark) != std::string::npos) return Prediction::kVelocity;
    }
  }
  return std::nullopt;
}

bool told_zero_terminal_snr(const weights::TensorIndex& index) {
  return index.contains("ztsnr") || scheduler_text(index, "rescale_betas_zero_snr") == "true";
}

std::string variant_name(const Config& config) {
  std::string name = base_name(config);
  if (config.picture_channels() == 5) name += " inpainting";
  if (config.picture_channels() == 4) name += " instruct-pix2pix";
  return name;
}

}  // namespace safelight::models::stable_diffusion
