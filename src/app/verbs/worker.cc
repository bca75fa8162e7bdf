#include "worker/worker.h"

#include <chrono>
#include <memory>

#include "app/broker_worker.h"
#include "app/engine_settings.h"
#include "app/library.h"
#include "app/model_parts.h"
#include "app/network_files.h"
#include "app/verbs/verbs.h"
#include "app/version.h"
#include "base/hash.h"

namespace safelight::app {
namespace {

struct Options {
  BrokerWorker broker;
  MachineFlags& machine = broker.machine;
  int channel = -1;
};

/// Finds models for as long as a worker lives: they may come and go meanwhile.
class ModelSource {
 public:
  ModelSource(Library library, std::vector<std::string> models_dirs)
      : library_(std::move(library)), models_dirs_(std::move(models_dirs)) {}

  Result<std::optional<pipelines::PartFile>> part(pipelines::ModelPart part,
                                                  const std::string& name,
                                                  const studio::ModelFile& model) {
    auto found = find_part(library_, part, name, model);
    if (found || found.error().code != ErrorCode::kNotFound) return found;
    if (auto again = open_library(models_dirs_)) library_ = std::move(*again);
    return find_part(library_, part, name, model);
  }

  std::optional<std::filesystem::path> tiny_decoder(std::string_view name) const {
    return find_tiny_decoder(library_, name);
  }

  Result<studio::ModelFile> operator()(const std::string& name) {
    Result<ModelEntry> entry = library_.checkpoint(name);
    std::error_code ignored;
    if (!entry || !std::filesystem::exists(entry->path, ignored)) {
      look_again();
      entry = library_.checkpoint(name);
    }
    if (!entry) return entry.error();
    // Whoever accepted the job has hashed the file meanwhile.
    if (!library_.hashes.known(entry->path))
      library_.hashes = HashCache(library_.paths.cache / "hashes.json");
    const Result<std::string> hash = library_.hashes.sha256(entry->path);
    if (!hash) return hash.error();
    return studio::ModelFile{entry->path, entry->name, short_hash(*hash), *hash};
  }

  Result<pipelines::NetworkFile> lora(const std::string& name, const std::string& hash) {
    auto file = find_lora(library_, name, hash);
    std::error_code ignored;
    if (file && std::filesystem::exists(file->path, ignored)) return file;
    look_again();
    return find_lora(library_, name, hash);
  }

  std::vector<pipelines::NetworkFile> embeddings(
      const std::function<bool(const std::string&)>& is_wanted) {
    // Only looking tells that there is a new one: nobody names them as such.
    constexpr std::chrono::seconds kOldest(2);
    if (Clock::now() - looked_ > kOldest) look_again();
    return find_embeddings(library_, is_wanted);
  }

 private:
  using Clock = std::chrono::steady_clock;

  void look_again() {
    if (auto again = open_library(models_dirs_)) library_ = std::move(*again);
    looked_ = Clock::now();
  }

  Library library_;
  std::vector<std::string> models_dirs_;
  Clock::time_point looked_ = Clock::now();
};

Status run(const Options& options) {
  if (options.channel < 0 && !options.broker.broker.url.empty()) {
    return run_broker_worker(options.broker);
  }
  if (options.channel < 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "a worker needs somebody to work for: give --broker, the URL of a service's Redis "
                 "server ('safelight serve' starts its own worker)"};
  }
  Result<Library> library = open_library(options.machine.models_dirs);
  if (!library) return library.error();
  const auto engine = engine_options(options.machine, *library);
  if (!engine) return engine.error();
  const auto models =
      std::make_shared<ModelSource>(std::move(*library), options.machine.models_dirs);
  return worker::run_worker(
      options.channel,
      {.engine_options = *engine,
       .find_model = [models](const std::string& name) { return (*models)(name); },
       .find_part = [models](
                        pipelines::ModelPart part, const std::string& name,
                        const studio::ModelFile& model) { return models->part(part, name, model); },
       .find_tiny_decoder = [models](std::string_view name) { return models->tiny_decoder(name); },
       .find_networks = {.lora = [models](
                                     const std::string& name,
                                     const std::string& hash) { return models->lora(name, hash); },
                         .embeddings =
                             [models](const auto& is_wanted) {
                               return models->embeddings(is_wanted);
                             }},
       .version = "Safelight " + version()});
}

void add_broker_flags(CLI::App& command, BrokerWorker& worker) {
  command
      .add_option("--broker", worker.broker.url,
                  "The service's Redis server, redis://[:password@]host[:port][/database] or "
                  "rediss:// for TLS")
      ->type_name("URL")
      ->envname("SAFELIGHT_BROKER")
      ->group("Service");
  command
      .add_option("--broker-ca", worker.broker.ca_file,
                  "The authority that signed the broker's certificate, for rediss://")
      ->type_name("FILE")
      ->envname("SAFELIGHT_BROKER_CA")
      ->group("Service");
  command.add_option("--name", worker.name, "This worker's name [host and process]")
      ->type_name("NAME")
      ->group("Service");
  command
      .add_option("--grace", worker.grace_seconds,
                  "Seconds that a running job gets to end after SIGTERM [30]")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, 86'400))
      ->group("Service");
  command
      .add_option("--output-dir", worker.output_dir,
                  "Where pictures go that clients want saved besides [nowhere]")
      ->type_name("DIR")
      ->group("Service");
  command.add_option("--pattern", worker.pattern, "Their names, as of generate")
      ->type_name("PATTERN")
      ->group("Service");
}

}  // namespace

Verb add_worker(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("worker", "Draw the jobs of a service, over its broker");
  add_broker_flags(*command, options->broker);
  add_machine_flags(*command, options->machine);
  command->add_option("--channel", options->channel, "Descriptor of the server's socket")
      ->group("");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
