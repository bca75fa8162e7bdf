#include "app/library.h"

#include <fmt/format.h>

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

constexpr const char* kShippedModel = "emoji-128";

}  // namespace

Result<ModelEntry> Library::checkpoint(const std::string& name) const {
  const std::string& wanted = !name.empty() ? name : config.model ? *config.model : kShippedModel;
  Result<ModelEntry> found = catalog.find(wanted, ModelKind::kCheckpoint, hashes);
  if (found || !name.empty()) return found;
  if (config.model) return found.error().in(paths.config_file.string());
  return found.error().in("no model was named, and the one that comes with the program is missing");
}

Result<Library> open_library(const std::vector<std::string>& models_dirs,
                             const Environment& environment, const fs::path& executable) {
  const Paths paths = find_paths(environment);
  Result<Config> config = load_config(paths.config_file);
  if (!config) return config.error();

  std::vector<fs::path> roots;
  for (const std::string& folder : models_dirs) {
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) {
      return Error{ErrorCode::kNotFound,
                   fmt::format("--models-dir {}: there is no such folder", folder)};
    }
    roots.emplace_back(folder);
  }
  for (const std::string& folder :
       split_path_list(environment("SAFELIGHT_MODELS_DIR").value_or(""))) {
    roots.push_back(expand_home(folder, environment));
  }
  for (const std::string& folder : config->models_dirs)
    roots.push_back(expand_home(folder, environment));
  roots.push_back(paths.models);
  if (const auto shipped = shipped_models(executable)) roots.push_back(*shipped);

  PromptFiles prompt_files = prompt_files_of(roots);
  const auto expanded = [&](std::vector<std::string> files) {
    for (std::string& file : files) file = expand_home(file, environment).string();
    return files;
  };
  put_first(prompt_files, expanded(config->wildcards_dirs), expanded(config->styles_files));
  ModelCatalog catalog = ModelCatalog::scan(roots);
  return Library{paths, *std::move(config), std::move(catalog),
                 HashCache(paths.cache / "hashes.json"), std::move(prompt_files)};
}

Result<Library> open_library(const std::vector<std::string>& models_dirs) {
  return open_library(models_dirs, process_environment, executable_path());
}

}  // namespace safelight::app
