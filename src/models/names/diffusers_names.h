#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace safelight::models::names {

/// diffusers' names of tensors whose reference names are those of the first releases (LDM, CLIP).
/// Facts from diffusers' checkpoint conversion, checked against it by
/// tools/reference/record_families.py.

/// `name` is LDM's without "model.diffusion_model."; `blocks` residual blocks stand in a level on
/// the way down. "input_blocks.1.0.in_layers.0.weight" -> "down_blocks.0.resnets.0.norm1.weight"
std::string unet_name_in_diffusers(std::string_view name, int64_t blocks);

/// `name` is LDM's without "first_stage_model."; the autoencoder has `levels` resolutions.
/// "decoder.up.3.block.0.norm1.weight" -> "decoder.up_blocks.0.resnets.0.norm1.weight"
std::string autoencoder_name_in_diffusers(std::string_view name, int64_t levels);

}  // namespace safelight::models::names
