#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "image/codec.h"

/// The codecs behind encode() and decode(), one file a format; what they are given was checked by
/// check_encodable().
namespace safelight::image {

Result<std::string> encode_png(const Image& image, const EncodeOptions& options);
Result<std::string> encode_jpeg(const Image& image, const EncodeOptions& options);
Result<std::string> encode_webp(const Image& image, const EncodeOptions& options);

Result<Image> decode_png(Bytes file);
Result<Image> decode_jpeg(Bytes file);
Result<Image> decode_webp(Bytes file);

/// Errors: kInvalidArgument when a side or the number of pixels is beyond kMaxSide or kMaxPixels.
Status check_size(int64_t width, int64_t height);

inline Error corrupt(std::string_view format, std::string_view cause) {
  return {ErrorCode::kCorruptFile, fmt::format("this {} cannot be read: {}", format, cause)};
}

}  // namespace safelight::image
