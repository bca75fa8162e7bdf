#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "request/request.h"
#include "weights/tensor_index.h"

namespace safelight::pipelines {

/// What a checkpoint was made to be sampled with, where that is not what most are.
struct Recommended {
  std::string_view reason;  ///< "Lightning", "Turbo", ...; empty for none
  std::optional<int64_t> steps;
  std::optional<double> cfg_scale;
  std::optional<std::string_view> sampler, schedule;
};

/// Told by words of the file's name and of its metadata (modelspec.title, modelspec.architecture):
/// distilled checkpoints draw in few steps without guidance. A number of steps in the name
/// ("4step") counts.
Recommended recommended(const weights::TensorIndex& index, const std::filesystem::path& path);

/// Sets what is recommended where the request does not say; never what was said. Gives what it set
/// in words ("4 steps, CFG scale 1, Euler"), empty for nothing.
std::string use_recommended(request::Request& request, const Recommended& recommended);

}  // namespace safelight::pipelines
