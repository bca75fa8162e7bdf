#pragma once

#include <map>
#include <string>

#include "weights/adapter_file.h"

namespace safelight::weights {

/// The metadata key under which open_adapter gives what PEFT's adapter_config.json says.
inline constexpr std::string_view kPeftConfig = "adapter_config.json";

/// What the products of each module are multiplied by, by the module's name: alpha / rank, where
/// alpha is a tensor of the module or is in PEFT's or diffusers' metadata (there for a
/// rank-stabilised adapter alpha / sqrt(rank), Kalajdzievski 2023); 1 without an alpha or a rank.
std::map<std::string, double> adapter_scales(const AdapterFile& file,
                                             const TensorIndex::Metadata& metadata);

}  // namespace safelight::weights
