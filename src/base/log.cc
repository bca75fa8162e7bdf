#include "base/log.h"

#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>
#include <memory>

namespace safelight {
namespace {

/// One for the process: a logger that is made anew goes on in it.
const std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt>& memory_sink() {
  static const auto sink = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(kRememberedLines);
  return sink;
}

}  // namespace

Status init_logging(std::string_view level) {
  const std::string name(level);
  const spdlog::level::level_enum parsed = spdlog::level::from_str(name);
  if (parsed == spdlog::level::off && name != "off") {
    return Error{ErrorCode::kInvalidArgument,
                 "log level '" + name +
                     "' is unknown; one of trace, debug, info, warn, error, off is needed"};
  }
  spdlog::drop("safelight");
  auto logger = spdlog::stderr_color_mt("safelight");
  logger->sinks().push_back(memory_sink());
  logger->set_pattern("%^%l%$: %v");
  memory_sink()->set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(parsed);
  return {};
}

std::vector<std::string> recent_log_lines(size_t most) {
  std::vector<std::string> lines = memory_sink()->last_formatted(std::min(most, kRememberedLines));
  for (std::string& line : lines) {
    while (line.ends_with('\n')) line.pop_back();
  }
  return lines;
}

}  // namespace safelight
