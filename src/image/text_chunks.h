#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"

namespace safelight::image {

/// Puts a text chunk before the first IDAT of a PNG: tEXt when `text` is Latin-1, else uncompressed
/// iTXt (as Pillow's PngInfo.add_text does, whose files SD WebUI writes). `file` is a whole PNG of
/// our own making.
void insert_png_text(std::string& file, std::string_view key, std::string_view text);

/// The UTF-8 text under `key` in a PNG's tEXt, zTXt or iTXt chunks; nothing where there is none or
/// it is damaged.
std::optional<std::string> read_png_text(Bytes file, std::string_view key);

/// UTF-8 to Latin-1; nothing where a character does not fit.
std::optional<std::string> to_latin1(std::string_view utf8);
std::string from_latin1(std::string_view latin1);

}  // namespace safelight::image
