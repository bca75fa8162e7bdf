#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace safelight::image {

/// The generation text ("parameters") in a PNG, JPEG or WebP file, wherever SD WebUI and SD.Next
/// put it: PNG text chunks, else EXIF UserComment. Always valid UTF-8; nothing when the picture has
/// none. Errors: kUnsupported when the file is none of the three.
Result<std::optional<std::string>> read_parameters(Bytes file);

}  // namespace safelight::image
