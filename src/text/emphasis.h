#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "base/tensor.h"

namespace safelight::text {

/// What the weights in a prompt do to the text encoder's output (SD WebUI's "emphasis mode",
/// modules/sd_emphasis.py).
enum class Emphasis {
  kOriginal,  ///< multiply, then restore the mean over all values
  kNoNorm,    ///< multiply
  kIgnore,    ///< nothing
};

/// "original", "no-norm", "ignore". Errors: kInvalidArgument.
Result<Emphasis> find_emphasis(std::string_view name);

/// Weighs the output of one run of the text encoder, [1, T, C], token by token; weights [T]. Where
/// the weighted values have no mean to restore (0), they stay as they are.
void emphasise(Tensor& encoded, std::span<const float> weights, Emphasis emphasis);

}  // namespace safelight::text
