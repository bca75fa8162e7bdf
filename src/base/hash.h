#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace safelight {

/// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(Bytes data);

/// The first ten digits, as SD WebUI shows a model's hash; of an empty hash none.
std::string short_hash(const std::string& sha256);

/// Of a whole file, through a memory map. Errors: kNotFound, kIo.
Result<std::string> sha256_file(const std::filesystem::path& path);

/// HMAC-SHA-256 of `text` under `key` as 64 lower-case hexadecimal digits.
std::string hmac_sha256(std::string_view key, std::string_view text);

/// Whether the texts are equal, in a time that tells nothing but their lengths: for secrets.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace safelight
