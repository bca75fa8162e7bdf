#pragma once

#include <cstdint>
#include <string_view>

namespace safelight::http {

/// Which part of a body a Range header asks for.
struct ByteRange {
  enum class Kind {
    kWhole,          ///< no range, or one that is to be ignored (RFC 9110, 14.2)
    kPart,           ///< [first, last]
    kUnsatisfiable,  ///< nothing of the body: 416
  };
  Kind kind = Kind::kWhole;
  uint64_t first = 0, last = 0;
};

/// Of "bytes=0-99", "bytes=100-" or "bytes=-5". Several ranges are answered with the whole.
ByteRange parse_byte_range(std::string_view header, uint64_t size);

/// Whether an If-None-Match header names the ETag, which is quoted. Weak tags compare equal.
bool matches_etag(std::string_view header, std::string_view etag);

}  // namespace safelight::http
