#pragma once

#include <cstdint>
#include <string>

#include "weights/adapter_names.h"
#include "weights/bound_weights.h"

namespace safelight::models::names {

/// How adapters spell the layers of a UNet whose weights have LDM's names: those and diffusers',
/// with dots or underscores. `blocks` as for unet_name_in_diffusers.
weights::AdapterNames unet_adapter_names(const weights::BoundWeights& bound, int64_t blocks);

/// The same for a text encoder whose weights have the names of transformers' CLIPTextModel
/// ("encoder.layers.0.self_attn.q_proj.weight"): those, diffusers' older ones, and OpenCLIP's,
/// where one layer is q, k and v. `network` is "text" or "text2".
weights::AdapterNames text_adapter_names(const weights::BoundWeights& bound, std::string network);

}  // namespace safelight::models::names
