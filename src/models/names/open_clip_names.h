#pragma once

#include <string>
#include <string_view>

#include "weights/bound_weights.h"

namespace safelight::models::names {

/// Where OpenCLIP's own text encoder has what transformers' CLIPTextModelWithProjection calls
/// `name`, both without prefixes. "encoder.layers.0.self_attn.k_proj.weight" -> the second of three
/// parts of "transformer.resblocks.0.attn.in_proj_weight". Facts from open_clip's TextTransformer
/// and transformers' conversion of it, checked by tools/reference/record_families.py.
weights::TensorPlace open_clip_place(std::string_view name);

}  // namespace safelight::models::names
