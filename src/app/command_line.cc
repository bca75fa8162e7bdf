#include "app/command_line.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>

#include "app/version.h"
#include "base/log.h"
#include "base/text.h"

namespace safelight::app {
namespace {

void print_error(std::string_view message) { fmt::print(stderr, "safelight: {}\n", message); }

/// The command that was named last on the command line.
const CLI::App& chosen_command(const CLI::App& root) {
  const CLI::App* command = &root;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

/// How the command is called: "safelight generate".
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

/// What was not understood, and the nearest thing that there is.
std::string unexpected_argument(const CLI::App& root) {
  const CLI::App& command = chosen_command(root);
  const std::vector<std::string> rest = command.remaining();
  const std::string got = rest.empty() ? "" : rest.front().substr(0, rest.front().find('='));
  const bool is_flag = got.starts_with('-');
  std::vector<std::string> names;
  if (is_flag) {
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
      if (!sub->get_group().empty()) names.push_back(sub->get_name());
    }
  }
  const std::string_view nearest = nearest_name(got, {names.begin(), names.end()});
  const std::string_view what = is_flag ? "option" : &command == &root ? "command" : "argument";
  std::string message = fmt::format("'{}' is no {} of '{}'", got, what, full_name(command));
  if (nearest.empty()) return message + fmt::format("; see '{} --help'", full_name(command));
  return message + fmt::format("; did you mean '{}'?", nearest);
}

int usage_error(const std::string& message) {
  print_error(message);
  return error_info(ErrorCode::kInvalidArgument).exit_status;
}

/// Parses; nothing when a verb is to run, else the exit status.
std::optional<int> parse(CLI::App& root, int argc, const char* const* argv) {
  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const Status printed = print_out(root.help());
    return printed ? 0 : usage_error(printed.error().message);
  } catch (const CLI::CallForVersion& version) {
    const Status printed = print_out(std::string(version.what()) + "\n");
    return printed ? 0 : usage_error(printed.error().message);
  } catch (const CLI::ExtrasError&) {
    return usage_error(unexpected_argument(root));
  } catch (const CLI::ParseError& fault) {
    const std::string command = full_name(chosen_command(root));
    return usage_error(fmt::format("{}; see '{} --help'", fault.what(), command));
  }
  return std::nullopt;
}

Status run_chosen(const CommandLine& line) {
  for (const Verb& verb : line.verbs) {
    if (verb.command->parsed()) return verb.run();
  }
  return print_out(line.root->help());
}

}  // namespace

Status print_out(std::string_view text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return {};
  return Error{ErrorCode::kIo, fmt::format("cannot write to stdout: {}", std::strerror(errno))};
}

CommandLine make_command_line() {
  CommandLine line;
  line.root = std::make_unique<CLI::App>(
      "Generates images from trained diffusion models, and guards them.", "safelight");
  CLI::App& root = *line.root;
  root.set_version_flag("--version", version_text, "Print the version and exit");
  root.get_formatter()->column_width(36);
  root.require_subcommand(0, 1);
  for (const auto add : {add_generate, add_serve, add_worker, add_inspect, add_convert,
                         add_read_info, add_models, add_samplers, add_tokens, add_devices,
                         add_moderate, add_guard, add_keys, add_completion, add_complete}) {
    line.verbs.push_back(add(root));
  }
  return line;
}

int run_program(int argc, const char* const* argv) {
  try {
    if (Status logging = init_logging("warn"); !logging)
      return usage_error(logging.error().message);
    const CommandLine line = make_command_line();
    if (const auto status = parse(*line.root, argc, argv)) return *status;
    const Status done = run_chosen(line);
    if (done) return 0;
    print_error(done.error().message);
    return error_info(done.error().code).exit_status;
  } catch (const std::bad_alloc&) {
    print_error("not enough memory; a smaller size or batch needs less");
    return error_info(ErrorCode::kOutOfMemory).exit_status;
  } catch (const std::exception& bug) {
    print_error(fmt::format("internal error: {}; please report this", bug.what()));
    return error_info(ErrorCode::kInternal).exit_status;
  }
}

}  // namespace safelight::app
