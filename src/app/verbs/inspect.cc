#include "weights/inspect.h"

#include <boost/json/serialize.hpp>
#include <memory>
#include <string>

#include "app/verbs/verbs.h"

namespace safelight::app {
namespace {

struct Options {
  std::string file;
  bool json = false;
  bool tensors = false;
};

Status run(const Options& options) {
  const Result<weights::FileReport> report =
      weights::inspect(options.file, {.list_tensors = options.tensors});
  if (!report) return report.error();
  if (options.json) return print_out(boost::json::serialize(weights::to_json(*report)) + "\n");
  return print_out(weights::to_text(*report));
}

}  // namespace

Verb add_inspect(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "inspect", "Say what a model file is: family, components, precision, size, metadata");
  command
      ->add_option("FILE", options->file,
                   "A .safetensors file, a .safetensors.index.json or a diffusers folder")
      ->required()
      ->type_name("FILE");
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->add_flag("--tensors", options->tensors, "List every tensor");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
