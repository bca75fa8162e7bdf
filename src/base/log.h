#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight {

/// Sends spdlog's default logger to stderr with our pattern. `level`: trace, debug, info, warn,
/// error, off. Errors: kInvalidArgument for another level.
Status init_logging(std::string_view level);

/// The last lines that init_logging()'s logger wrote, oldest first; at most `most` of the last
/// kRememberedLines. Any thread.
std::vector<std::string> recent_log_lines(size_t most);

constexpr size_t kRememberedLines = 1000;

}  // namespace safelight
