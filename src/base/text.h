#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safelight {

/// The element of `candidates` with the least edit distance to `name` (case ignored), for "did you
/// mean"; empty when none is near. O(n m) per candidate.
std::string_view nearest_name(std::string_view name,
                              const std::vector<std::string_view>& candidates);

/// The first byte that is not valid UTF-8 (overlong forms, surrogates and truncation included), or
/// npos.
size_t find_invalid_utf8(std::string_view text);

/// The longest beginning of `utf8` of at most `bytes` bytes that cuts no character.
std::string_view utf8_prefix(std::string_view utf8, size_t bytes);

/// `text` without white space (ASCII) at both ends.
std::string_view trimmed(std::string_view text);

/// "4G", "3.5 GiB", "512M" or plain bytes; K, M, G and T are powers of 1024. Nothing for other
/// text, and for less than one byte.
std::optional<uint64_t> parse_bytes(std::string_view text);

/// ASCII lower case of `text`; other bytes are kept.
std::string ascii_lower(std::string_view text);

}  // namespace safelight
