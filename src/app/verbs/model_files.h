#pragma once

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/hash_cache.h"
#include "app/verbs/verbs.h"

namespace safelight::app {

/// The commands of `safelight models` for single models (add, info, remove, verify), added to it.
/// `models_dirs` are those of --models-dir.
std::vector<Verb> add_model_files(
    CLI::App& models, const std::shared_ptr<const std::vector<std::string>>& models_dirs);

/// The hashes of a file as lines of text, each with its name.
std::string hashes_text(const ModelHashes& hashes);

/// The same as JSON: sha256, autov2, autov3, older.
boost::json::object hashes_json(const ModelHashes& hashes);

}  // namespace safelight::app
