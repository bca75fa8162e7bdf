#include "app/version.h"

#include <fmt/format.h>

#include "app/app_version.h"
#include "engine/engine.h"

namespace safelight::app {

std::string version() { return SAFELIGHT_VERSION; }

std::string version_text() {
  return fmt::format("safelight {}\nengines: {}", version(),
                     fmt::join(engine::engine_names(), ", "));
}

}  // namespace safelight::app
