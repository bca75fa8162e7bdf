#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"

namespace safelight::image {

/// An EXIF block ("Exif\0\0" and a TIFF structure) that holds nothing but the UserComment `utf8`,
/// as UTF-16 behind "UNICODE\0" like SD WebUI's (through piexif). Source: CIPA DC-008 (Exif 2.32),
/// TIFF 6.0.
std::string exif_with_comment(std::string_view utf8);

/// The TIFF structure alone, as a WebP file's EXIF chunk holds it.
std::string_view without_exif_mark(std::string_view exif);

/// The UserComment of an EXIF block, with or without "Exif\0\0" in front, as UTF-8. Bounds are
/// checked everywhere; nothing where it is missing or damaged. Its UTF-16 is read big-endian, as
/// piexif writes it; in a little-endian structure, where other programs follow the structure, the
/// order that gives more ASCII counts.
std::optional<std::string> read_exif_comment(std::string_view exif);

/// The EXIF block of a JPEG or WebP file, if it has one.
std::optional<std::string_view> find_exif(Bytes file);

}  // namespace safelight::image
