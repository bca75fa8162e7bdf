#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

#include "base/result.h"

namespace safelight {

/// Sends spdlog's default logger to stderr with our pattern. `level`: trace, debug, info, warn,
/// error, off. Errors: kInvalidArgument for another level.
Status init_logging(std::string_view level);

}  // namespace safelight
