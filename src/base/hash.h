#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace safelight {

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(Bytes data);

/// Of a whole file, through a memory map. Errors: kNotFound, kIo.
Result<std::string> sha256_file(const std::filesystem::path& path);

}  // namespace safelight
