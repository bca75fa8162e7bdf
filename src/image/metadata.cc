#include "image/metadata.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/text_chunks.h"

namespace safelight::image {
namespace {

/// The text with each byte that is no UTF-8 replaced by U+FFFD: files say what they like.
std::string as_utf8(std::string_view text) {
  std::string clean;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t bad = std::min(find_invalid_utf8(rest), rest.size());
    clean += rest.substr(0, bad);
    rest.remove_prefix(bad);
    if (rest.empty()) break;
    clean += "\xEF\xBF\xBD";
    rest.remove_prefix(1);
  }
  return clean;
}

std::optional<std::string> stored_text(Bytes file, Format format) {
  if (format == Format::kPng) return read_png_text(file, "parameters");
  const std::optional<std::string_view> exif = find_exif(file);
  return exif ? read_exif_comment(*exif) : std::nullopt;
}

}  // namespace

Result<std::optional<std::string>> read_parameters(Bytes file) {
  const std::optional<Format> format = sniff_format(file);
  if (!format) return Error{ErrorCode::kUnsupported, "this is no PNG, JPEG or WebP file"};
  std::optional<std::string> text = stored_text(file, *format);
  if (text) text = as_utf8(*text);
  return text;
}

std::map<std::string, std::string, std::less<>> read_texts(Bytes file,
                                                           std::span<const std::string_view> keys) {
  std::map<std::string, std::string, std::less<>> texts;
  if (sniff_format(file) != Format::kPng) return texts;
  for (const std::string_view key : keys) {
    if (const auto text = read_png_text(file, key)) texts.emplace(key, as_utf8(*text));
  }
  return texts;
}

}  // namespace safelight::image
