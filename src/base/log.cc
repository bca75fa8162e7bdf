#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace safelight {

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
  logger->set_pattern("%^%l%$: %v");
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(parsed);
  return {};
}

}  // namespace safelight
