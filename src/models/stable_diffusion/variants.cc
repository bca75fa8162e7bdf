// What tells the variants of the family apart beside the sizes of their networks.
#include <map>

#include "models/stable_diffusion/probe.h"

namespace safelight::models::stable_diffusion {
namespace {

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

std::string variant_name(const Config& config) {
  std::string name = base_name(config);
  if (config.picture_channels() == 5) name += " inpainting";
  if (config.picture_channels() == 4) name += " instruct-pix2pix";
  return name;
}

}  // namespace safelight::models::stable_diffusion
