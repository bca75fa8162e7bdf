#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string_view>

#include "base/result.h"

namespace safelight::app {

/// A command of the program.
struct Verb {
  CLI::App* command = nullptr;
  std::function<Status()> run;  ///< what it does once its options are parsed
};

// Each adds its command with its options to `root`; the options live in what `run` captures.
Verb add_generate(CLI::App& root);
Verb add_worker(CLI::App& root);
Verb add_serve(CLI::App& root);
Verb add_inspect(CLI::App& root);
Verb add_convert(CLI::App& root);
Verb add_read_info(CLI::App& root);
Verb add_models(CLI::App& root);
Verb add_samplers(CLI::App& root);
Verb add_tokens(CLI::App& root);
Verb add_devices(CLI::App& root);
Verb add_moderate(CLI::App& root);
Verb add_guard(CLI::App& root);
Verb add_keys(CLI::App& root);
Verb add_completion(CLI::App& root);
/// Hidden: what the completion scripts call.
Verb add_complete(CLI::App& root);

/// Writes to stdout. Errors: kIo when that fails, so that a full disk or a closed pipe is no
/// success.
Status print_out(std::string_view text);

}  // namespace safelight::app
