#include "image/metadata.h"

#include "image/codec.h"
#include "image/exif.h"
#include "image/text_chunks.h"

namespace safelight::image {

Result<std::optional<std::string>> read_parameters(Bytes file) {
  const std::optional<Format> format = sniff_format(file);
  if (!format) return Error{ErrorCode::kUnsupported, "this is no PNG, JPEG or WebP file"};
  if (*format == Format::kPng) return read_png_text(file, "parameters");
  const std::optional<std::string_view> exif = find_exif(file);
  if (!exif) return std::optional<std::string>();
  return read_exif_comment(*exif);
}

}  // namespace safelight::image
