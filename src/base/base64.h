#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace safelight {

/// Standard base64 (RFC 4648) with padding, in one line.
std::string base64_encode(std::string_view bytes);

/// The bytes of standard base64, with or without padding; spaces and line ends are skipped. Nothing
/// for other text.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace safelight
