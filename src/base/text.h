#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safelight {

/// The element of `candidates` with the least edit distance to `name` (case ignored), for "did you
/// mean"; empty when none is near. O(n m) per candidate.
std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates);

/// ASCII lower case of `text`; other bytes are kept.
std::string ascii_lower(std::string_view text);

}  // namespace safelight
