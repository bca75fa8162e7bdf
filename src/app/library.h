#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "app/hash_cache.h"
#include "app/model_catalog.h"
#include "app/paths.h"
#include "app/prompt_files.h"
#include "base/result.h"

namespace safelight::app {

/// The user's folders, configuration and models.
struct Library {
  Paths paths;
  Config config;
  ModelCatalog catalog;
  HashCache hashes;
  PromptFiles prompt_files;

  /// The checkpoint that `name` means; for an empty one the configured default, else the model that
  /// comes with the program. Errors: kNotFound.
  Result<ModelEntry> checkpoint(const std::string& name) const;
};

/// Reads the configuration and looks for models, in this order: `models_dirs` (--models-dir), the
/// list SAFELIGHT_MODELS_DIR (separated by ':'), the configuration's models_dirs, the data folder,
/// the model that comes with the program. Errors: those of load_config; kNotFound for a folder of
/// --models-dir that does not exist.
Result<Library> open_library(const std::vector<std::string>& models_dirs,
                             const Environment& environment,
                             const std::filesystem::path& executable);

/// The same for this process.
Result<Library> open_library(const std::vector<std::string>& models_dirs);

}  // namespace safelight::app
