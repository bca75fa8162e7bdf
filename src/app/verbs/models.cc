#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <optional>
#include <string>

#include "app/library.h"
#include "app/model_files.h"
#include "app/verbs/model_files.h"
#include "app/verbs/verbs.h"
#include "base/hash.h"
#include "weights/inspect.h"

namespace safelight::app {
namespace {

namespace json = boost::json;

struct Options {
  std::vector<std::string> models_dirs;
  std::string kind;  ///< empty for all
  bool json = false;
};

struct Row {
  ModelEntry entry;
  std::string family;  ///< "unreadable" where the file cannot be opened
  std::string hash;    ///< empty where it is not known yet
};

Row make_row(const ModelEntry& entry, const HashCache& hashes) {
  const Result<weights::FileReport> report = weights::inspect(entry.path);
  return {entry, report ? std::string(weights::name_of(report->family)) : "unreadable",
          hashes.known(entry.path).value_or("")};
}

std::string to_text(const std::vector<Row>& rows) {
  size_t name_width = 4;
  for (const Row& row : rows) name_width = std::max(name_width, row.entry.name.size());
  const auto line = [&](std::string_view name, std::string_view kind, std::string_view family,
                        std::string_view size, std::string_view hash, std::string_view path) {
    return fmt::format("{:<{}}  {:<12}  {:<12}  {:>9}  {:<10}  {}\n", name, name_width, kind,
                       family, size, hash, path);
  };
  std::string text = line("NAME", "KIND", "FAMILY", "SIZE", "HASH", "PATH");
  constexpr double kMebibyte = 1024.0 * 1024.0;
  for (const Row& row : rows) {
    const auto size = fmt::format("{:.1f} MiB", static_cast<double>(row.entry.size) / kMebibyte);
    text += line(row.entry.name, name_of(row.entry.kind), row.family, size,
                 row.hash.empty() ? "-" : short_hash(row.hash), row.entry.path.string());
  }
  return text;
}

json::array to_json(const std::vector<Row>& rows) {
  json::array array;
  for (const Row& row : rows) {
    json::object object = {{"name", row.entry.name},
                           {"kind", name_of(row.entry.kind)},
                           {"family", row.family},
                           {"size", row.entry.size},
                           {"path", row.entry.path.string()}};
    if (!row.hash.empty()) object["sha256"] = row.hash;
    array.push_back(std::move(object));
  }
  return array;
}

Status run(const Options& options) {
  const Result<Library> library = open_library(options.models_dirs);
  if (!library) return library.error();
  std::vector<Row> rows;
  const std::optional<ModelKind> kind = find_kind(options.kind);
  if (!options.kind.empty() && !kind)
    return Error{ErrorCode::kInvalidArgument, fmt::format("there is no kind '{}'", options.kind)};
  for (const ModelEntry& entry : library->catalog.entries()) {
    if (!kind || entry.kind == *kind) rows.push_back(make_row(entry, library->hashes));
  }
  if (options.json) return print_out(json::serialize(to_json(rows)) + "\n");
  if (!rows.empty()) return print_out(to_text(rows));
  return print_out(
      fmt::format("no models found; put them into {}\n", library->paths.models.string()));
}

}  // namespace

Verb add_models(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      root.add_subcommand("models", "List the models that were found; add, check and remove them");
  command->add_flag("--json", options->json, "Print the list as JSON");
  command
      ->add_option(
          "--models-dir", options->models_dirs,
          "A further folder of models, laid out as SD.Next's, SD WebUI's or ComfyUI's; add "
          "puts models into the first")
      ->type_name("DIR")
      ->allow_extra_args(false);
  // `safelight models list` says the same.
  CLI::App* list = command->add_subcommand("list", "List the models (the default)")->fallthrough();
  list->add_option("--kind", options->kind,
                   "Only checkpoint, vae, lora, embedding, controlnet, upscaler, denoiser or "
                   "text-encoder")
      ->type_name("KIND");
  const std::vector<Verb> others = add_model_files(*command, {options, &options->models_dirs});
  return {command, [options, others] {
            for (const Verb& verb : others) {
              if (verb.command->parsed()) return verb.run();
            }
            return run(*options);
          }};
}

}  // namespace safelight::app
