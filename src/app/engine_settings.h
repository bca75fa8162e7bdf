#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "app/library.h"
#include "base/result.h"
#include "engine/engine.h"

namespace safelight::app {

/// What of the command line concerns the machine, for every command that draws.
struct MachineFlags {
  std::vector<std::string> models_dirs;
  std::string precision, max_memory;
  int threads = 0;
  bool weights_cache = false;
};

/// Adds the flags to a command, in the group "Machine". `flags` outlives it.
void add_machine_flags(CLI::App& command, MachineFlags& flags);

/// What flags, environment and configuration say, in this order. Errors: kInvalidArgument naming
/// where the wrong value came from.
Result<engine::EngineOptions> engine_options(const MachineFlags& flags, const Library& library);

}  // namespace safelight::app
