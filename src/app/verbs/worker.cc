#include "worker/worker.h"

#include <memory>

#include "app/engine_settings.h"
#include "app/library.h"
#include "app/verbs/verbs.h"
#include "app/version.h"

namespace safelight::app {
namespace {

struct Options {
  MachineFlags machine;
  int channel = -1;
};

/// Finds checkpoints for as long as a worker lives: models may come and go meanwhile.
class ModelSource {
 public:
  ModelSource(Library library, std::vector<std::string> models_dirs)
      : library_(std::move(library)), models_dirs_(std::move(models_dirs)) {}

  Result<studio::ModelFile> operator()(const std::string& name) {
    Result<ModelEntry> entry = library_.checkpoint(name);
    std::error_code ignored;
    if (!entry || !std::filesystem::exists(entry->path, ignored)) {
      if (auto again = open_library(models_dirs_)) library_ = std::move(*again);
      entry = library_.checkpoint(name);
    }
    if (!entry) return entry.error();
    // Whoever accepted the job has hashed the file meanwhile.
    if (!library_.hashes.known(entry->path))
      library_.hashes = HashCache(library_.paths.cache / "hashes.json");
    const Result<std::string> hash = library_.hashes.sha256(entry->path);
    if (!hash) return hash.error();
    return studio::ModelFile{entry->path, entry->name, hash->substr(0, kShortHash), *hash};
  }

 private:
  Library library_;
  std::vector<std::string> models_dirs_;
};

Status run(const Options& options) {
  if (options.channel < 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "a worker needs somebody to work for: 'safelight serve' starts its own"};
  }
  Result<Library> library = open_library(options.machine.models_dirs);
  if (!library) return library.error();
  const auto engine = engine_options(options.machine, *library);
  if (!engine) return engine.error();
  const auto models =
      std::make_shared<ModelSource>(std::move(*library), options.machine.models_dirs);
  return worker::run_worker(
      options.channel, {.engine_options = *engine,
                        .find_model = [models](const std::string& name) { return (*models)(name); },
                        .version = "Safelight " + version()});
}

}  // namespace

Verb add_worker(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("worker", "Draw the jobs of a server");
  add_machine_flags(*command, options->machine);
  command->add_option("--channel", options->channel, "Descriptor of the server's socket")
      ->group("");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
