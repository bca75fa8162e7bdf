#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "base/result.h"

namespace safelight::app {

struct CountOptions {
  std::string syntax = "webui";  ///< as Request::prompt_syntax
  int64_t steps = 20;            ///< of schedules
};

/// How a prompt is read, and its tokens as SD WebUI shows them: {"tokens", "limit", "chunks",
/// "parts": [{"weight", "schedule": [{"end_step", "text", "tokens", "chunks"}]}]}. Tags of networks
/// do not count. "tokens" are those of the longest text, "limit" the next multiple of 75. Schedules
/// of more than 200 texts are cut there. Errors: kInvalidArgument.
Result<boost::json::object> count_prompt(const std::string& prompt, const CountOptions& options);

}  // namespace safelight::app
