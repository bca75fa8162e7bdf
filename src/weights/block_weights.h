#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::weights {

/// Reads the factors of blocks as the extension LoRA Block Weight has them (`lbw=` in a prompt): a
/// list of numbers with commas, or one of its presets (NONE, ALL, INS, IND, INALL, MIDD, OUTD,
/// OUTS, OUTALL, ALL0.5). 17 and 26 numbers are of SD 1.x, 12 and 20 of SDXL. Errors:
/// kInvalidArgument for another count, another name, numbers that are not finite or beyond [-100,
/// 100].
Result<std::vector<double>> parse_block_weights(std::string_view text);

/// The factor of a layer: `network` is "unet" or another one, which BASE, the first number, is for;
/// `layer` is its name in the reference checkpoint ("input_blocks.4.1.proj_in"). A block that the
/// list does not name has 0, as there; layers outside of blocks have 1, and so has every layer
/// where the list is empty.
double block_weight(const std::vector<double>& weights, std::string_view network,
                    std::string_view layer);

}  // namespace safelight::weights
