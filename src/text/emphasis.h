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
  kComfyui,   ///< move away from the empty prompt's output: empty + (output - empty) * weight
};

/// "original", "no-norm", "ignore", "comfyui". Errors: kInvalidArgument.
Result<Emphasis> find_emphasis(std::string_view name);

/// Whether emphasise() needs the output for a chunk without words.
bool needs_empty(std::span<const float> weights, Emphasis emphasis);

/// Weighs the output of one run of the text encoder, [1, T, C], token by token; weights [T]. Where
/// the weighted values have no mean to restore (0), they stay as they are. `empty`, of the same
/// shape, is read where needs_empty().
void emphasise(Tensor& encoded, std::span<const float> weights, Emphasis emphasis,
               const Tensor& empty = {});

}  // namespace safelight::text
