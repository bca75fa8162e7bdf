#include "weights/inspect.h"

#include <boost/json/serialize.hpp>
#include <memory>
#include <string>

#include "app/library.h"
#include "app/verbs/model_files.h"
#include "app/verbs/verbs.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/checkpoint_levels.h"
#include "weights/open_weights.h"

namespace safelight::app {
namespace {

struct Options {
  std::string file;
  bool json = false;
  bool tensors = false;
  bool hash = false;
};

/// What is known of the file's hashes, or with --hash all of them.
Result<ModelHashes> hashes_of(const Options& options) {
  const Result<Library> library = open_library({});
  if (!library) return library.error();
  HashCache hashes = library->hashes;
  if (options.hash || hashes.known(options.file)) return hashes.all(options.file);
  return ModelHashes{};
}

Status run(const Options& options) {
  const Result<weights::TensorIndex> index = weights::open_weights(options.file);
  if (!index) return index.error();
  weights::FileReport report = weights::inspect(*index, {.list_tensors = options.tensors});
  report.path = options.file;
  report.model = models::stable_diffusion::describe(*index);
  if (!report.model.empty())
    report.model += pipelines::told_levels(*index, options.file, "auto").text();
  const Result<ModelHashes> hashes = hashes_of(options);
  if (!hashes) return hashes.error();
  if (!options.json) return print_out(weights::to_text(report) + hashes_text(*hashes));
  boost::json::object object = weights::to_json(report);
  if (!hashes->sha256.empty()) object["hashes"] = hashes_json(*hashes);
  return print_out(boost::json::serialize(object) + "\n");
}

}  // namespace

Verb add_inspect(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "inspect", "Say what a model file is: family, components, precision, size, metadata");
  command
      ->add_option("FILE", options->file,
                   "A file of safetensors, GGUF or torch, a .safetensors.index.json or a diffusers "
                   "folder")
      ->required()
      ->type_name("FILE");
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->add_flag("--hash", options->hash, "Compute its hashes, which takes reading it whole");
  command->add_flag("--tensors", options->tensors, "List every tensor");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
