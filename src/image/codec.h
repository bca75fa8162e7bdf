#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "image/image.h"

namespace safelight::image {

enum class Format { kPng, kJpeg, kWebp };

std::string_view format_name(Format format);       ///< "png", "jpeg", "webp"
std::string_view format_extension(Format format);  ///< ".png", ".jpg", ".webp"
/// By name or file extension, with or without the dot, any case ("jpg", ".JPEG", "webp").
/// Errors: kInvalidArgument naming the choices.
Result<Format> find_format(std::string_view name);
/// What a file is by its first bytes; nothing for others.
std::optional<Format> sniff_format(Bytes file);

struct EncodeOptions {
  Format format = Format::kPng;
  int quality = 90;        ///< JPEG and WebP: 1 to 100; WebP at 100 is lossless
  int compression = 4;     ///< PNG: zlib's level, 0 to 9
  std::string parameters;  ///< SD WebUI's generation text, stored as it does; empty for none
};

/// The largest width or height, and the most pixels, that are encoded or decoded.
constexpr int kMaxSide = 32768;
constexpr int64_t kMaxPixels = int64_t{1} << 28;

/// Whether the format can hold that generation text: to be asked before work starts. Errors:
/// kInvalidArgument for more than a segment of JPEG takes, about 32,000 characters.
Status check_parameters(Format format, std::string_view text);

/// The picture as a file: PNG (text as tEXt, or iTXt when it is not Latin-1), JPEG or WebP (text as
/// EXIF UserComment). Errors: kInvalidArgument for a size or quality that the format cannot hold.
Result<std::string> encode(const Image& image, const EncodeOptions& options);

/// A PNG, JPEG or WebP file as pixels, RGB or RGBA. Sizes are checked before anything is allocated;
/// a truncated file is an error. Errors: kUnsupported for another format or an animation,
/// kCorruptFile, kInvalidArgument for too large a picture.
Result<Image> decode(Bytes file);

}  // namespace safelight::image
