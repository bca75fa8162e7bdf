#pragma once

#include <optional>

#include "weights/recognise.h"

namespace safelight::weights {

/// The identity of a LoRA (any kind of low-rank adapter, by its tensors' names), or nothing.
std::optional<Identity> identify_lora(const TensorIndex& index);

/// The identity of a textual inversion embedding, or nothing.
std::optional<Identity> identify_embedding(const TensorIndex& index);

}  // namespace safelight::weights
