#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace safelight::weights {

/// Text from a file made fit for a message: control characters become '?', and what is longer than
/// `limit` bytes is cut at a character and ended with "...".
std::string printable(std::string_view text, size_t limit = 120);

/// A shape as messages show it: "[320, 4, 3, 3]"; "[]" for a scalar.
std::string shape_text(std::span<const int64_t> shape);

}  // namespace safelight::weights
