#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace safelight::weights {

/// SD WebUI's hash of a model before 2023, which old pictures name: 8 digits of the SHA-256 of 64
/// KiB at 1 MiB (modules/sd_models.py, model_hash). Errors: kNotFound, kIo.
Result<std::string> webui_short_hash(const std::filesystem::path& path);

/// Whether tensor_hash gives something: for safetensors files. Errors: kNotFound, kIo.
Result<bool> has_tensor_hash(const std::filesystem::path& path);

/// SHA-256 of a safetensors file without its header, 64 digits: Civitai's AutoV3 by its first 12,
/// and kohya's sshs_model_hash; empty for other files. Errors: kNotFound, kIo.
Result<std::string> tensor_hash(const std::filesystem::path& path);

}  // namespace safelight::weights
