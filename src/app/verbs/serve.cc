#include <memory>

#include "app/server.h"
#include "app/verbs/verbs.h"
#include "base/log.h"

namespace safelight::app {
namespace {

struct Options {
  GivenSettings settings;
  Texts notes;
};

Status run(const Options& options) {
  // The folders of models come from the same settings that the library is opened with.
  const auto config = load_config(find_paths(process_environment).config_file);
  if (!config) return config.error();
  const auto settings = read_settings(*config, process_environment, options.settings);
  if (!settings) return settings.error();
  if (Status logging = init_logging(settings->log_level); !logging) return logging;
  Result<Library> library = open_library(settings->models_dirs);
  if (!library) return library.error();
  put_first(library->prompt_files, settings->wildcards_dirs, settings->styles_files);
  return run_server(*settings, *std::move(library), options.notes);
}

}  // namespace

Verb add_serve(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "serve", "Serve the APIs of SD WebUI, OpenAI and Safelight, and a page, over HTTP");
  add_setting_flags(*command, options->settings, options->notes);
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
