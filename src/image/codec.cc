#include "image/codec.h"

#include <webp/encode.h>

#include <array>

#include "base/text.h"
#include "image/exif.h"
#include "image/format_codecs.h"

namespace safelight::image {
namespace {

struct FormatEntry {
  Format format;
  std::string_view name, extension, alias;
};

constexpr std::array kFormats = {FormatEntry{Format::kPng, "png", ".png", "png"},
                                 FormatEntry{Format::kJpeg, "jpeg", ".jpg", "jpg"},
                                 FormatEntry{Format::kWebp, "webp", ".webp", "webp"}};

Status check_options(const EncodeOptions& options) {
  if (options.quality < 1 || options.quality > 100) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("quality is {}; 1 to 100 are possible", options.quality)};
  }
  if (options.compression < 0 || options.compression > 9) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("PNG compression is {}; 0 to 9 are possible", options.compression)};
  }
  return {};
}

Status check_channels(Format format, int channels) {
  if (channels != 1 && channels != 3 && channels != 4) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the picture has {} channels; 1, 3 or 4 are needed", channels)};
  }
  if (format == Format::kJpeg && channels == 4) {
    return Error{ErrorCode::kInvalidArgument, "JPEG holds no transparency; use PNG or WebP"};
  }
  if (format == Format::kWebp && channels == 1) {
    return Error{ErrorCode::kInvalidArgument, "WebP holds no grey pictures; use PNG or JPEG"};
  }
  return {};
}

Status check_encodable(const Image& image, const EncodeOptions& options) {
  if (Status good = check_size(image.width, image.height); !good) return good;
  if (Status good = check_options(options); !good) return good;
  if (Status good = check_channels(options.format, image.channels); !good) return good;
  if (Status good = check_parameters(options.format, options.parameters); !good) return good;
  if (options.format == Format::kWebp &&
      (image.width > WEBP_MAX_DIMENSION || image.height > WEBP_MAX_DIMENSION)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the picture is {} x {}; WebP holds at most {} pixels a side; use PNG",
                             image.width, image.height, WEBP_MAX_DIMENSION)};
  }
  const size_t needed = image.row_bytes() * static_cast<size_t>(image.height);
  if (image.pixels.size() != needed) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("the picture holds {} bytes of pixels; {} x {} x {} are {}",
                    image.pixels.size(), image.width, image.height, image.channels, needed)};
  }
  return {};
}

}  // namespace

Status check_size(int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide ||
      width * height > kMaxPixels) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("the picture is {} x {}; at most {} a side and {} pixels in all are taken",
                    width, height, kMaxSide, kMaxPixels)};
  }
  return {};
}

std::string_view format_name(Format format) { return kFormats[static_cast<size_t>(format)].name; }
std::string_view format_extension(Format format) {
  return kFormats[static_cast<size_t>(format)].extension;
}

Result<Format> find_format(std::string_view name) {
  std::string wanted = ascii_lower(name);
  if (wanted.starts_with('.')) wanted.erase(0, 1);
  for (const FormatEntry& entry : kFormats) {
    if (wanted == entry.name || wanted == entry.alias) return entry.format;
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("picture format '{}' is unknown; use png, jpg or webp", name)};
}

std::optional<Format> sniff_format(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return Format::kPng;
  if (text.starts_with("\xff\xd8\xff")) return Format::kJpeg;
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") {
    return Format::kWebp;
  }
  return std::nullopt;
}

Status check_parameters(Format format, std::string_view text) {
  if (format != Format::kJpeg) return {};
  constexpr size_t kMaxSegment = 65533;  // its length, counted in 16 bits, includes their two bytes
  const size_t size = exif_with_comment(text).size();
  if (size <= kMaxSegment) return {};
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("the generation text takes {} bytes; JPEG holds at most {}; use PNG or "
                           "WebP, or leave the text out",
                           size, kMaxSegment)};
}

Result<std::string> encode(const Image& image, const EncodeOptions& options) {
  if (Status good = check_encodable(image, options); !good) return good.error();
  switch (options.format) {
    case Format::kJpeg:
      return encode_jpeg(image, options);
    case Format::kWebp:
      return encode_webp(image, options);
    default:
      return encode_png(image, options);
  }
}

Result<Image> decode(Bytes file) {
  const std::optional<Format> format = sniff_format(file);
  if (!format) return Error{ErrorCode::kUnsupported, "this is no PNG, JPEG or WebP file"};
  switch (*format) {
    case Format::kJpeg:
      return decode_jpeg(file);
    case Format::kWebp:
      return decode_webp(file);
    default:
      return decode_png(file);
  }
}

}  // namespace safelight::image
