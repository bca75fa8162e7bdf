#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace safelight::image {

/// The generation text ("parameters") in a PNG, JPEG or WebP file, wherever SD WebUI and SD.Next
/// put it: PNG text chunks, else EXIF UserComment. Always valid UTF-8; nothing when the picture has
/// none. Errors: kUnsupported when the file is none of the three.
Result<std::optional<std::string>> read_parameters(Bytes file);

/// The texts under these keys in a PNG's text chunks, as valid UTF-8; those that are not there, and
/// all in other files, are left out.
std::map<std::string, std::string, std::less<>> read_texts(Bytes file,
                                                           std::span<const std::string_view> keys);

}  // namespace safelight::image
