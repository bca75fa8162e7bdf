#pragma once

#include <string>
#include <vector>

#include "app/library.h"
#include "app/server_settings.h"
#include "base/result.h"

namespace safelight::app {

/// Runs a server until SIGTERM or SIGINT: jobs, worker, HTTP. A first signal lets running work end
/// within `grace`, a second one ends at once. Its address is printed to stdout once it answers.
/// `notes` are logged at the start. Errors: everything that keeps it from starting.
Status run_server(const ServerSettings& settings, Library library,
                  const std::vector<std::string>& notes);

}  // namespace safelight::app
