#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "app/verbs/verbs.h"

namespace safelight::app {

/// The tree of commands and options, and what runs for each.
struct CommandLine {
  std::unique_ptr<CLI::App> root;
  std::vector<Verb> verbs;
};

CommandLine make_command_line();

/// The whole program: parses, runs, prints an error as `safelight: <message>`. Gives the exit
/// status.
int run_program(int argc, const char* const* argv);

}  // namespace safelight::app
