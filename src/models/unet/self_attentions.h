#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::models::unet {

/// How many self-attentions a UNet has, in the order in which they run.
struct SelfAttentions {
  int64_t down = 0, middle = 0, up = 0;

  /// The numbers, from 0, of those that a list names: words between spaces or commas, of which
  /// "down", "mid" and "up" (or d, m, u) are all of a part and "d3" or "u2-5" some of it, counted
  /// from 0 (SD.Next's and ComfyUI's names). Errors: kInvalidArgument for other words, none, or
  /// numbers beyond the network's.
  Result<std::vector<int64_t>> find(std::string_view names) const;
};

}  // namespace safelight::models::unet
