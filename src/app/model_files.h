#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "app/hash_cache.h"
#include "app/model_catalog.h"
#include "base/result.h"
#include "weights/inspect.h"

namespace safelight::app {

/// The kind of model that a file is by its content; nothing when that does not tell.
std::optional<ModelKind> kind_of(const weights::FileReport& report);

/// The kind of that name ("text-encoder" or "text encoder"); nothing for another.
std::optional<ModelKind> find_kind(std::string_view name);

/// Told of the bytes that were copied, of how many; an error ends the work.
using CopyProgress = std::function<Status(uint64_t done, uint64_t total)>;

struct AddOptions {
  std::optional<ModelKind> kind;  ///< else by the content
  std::string name;               ///< without it the source's own
  bool link = false;              ///< a symbolic link instead of a copy
  bool replace = false;           ///< what is there under that name
  CopyProgress progress;
};

/// Puts a model file or diffusers folder into the folder of its kind below `models`, whole or not
/// at all, and gives its new path. Errors: those of inspect(); kInvalidArgument for a name with a
/// folder in it and for content whose kind is not known; kConflict when the name is taken; kIo.
Result<std::filesystem::path> add_model(const std::filesystem::path& source,
                                        const std::filesystem::path& models,
                                        const AddOptions& options);

/// Reads a whole model: its structure, that its numbers are finite, and that its hash is the one
/// that is remembered and the one that the file tells of itself (`sshs_model_hash`). Gives its
/// hashes, and remembers them. Errors: kCorruptFile for what does not agree; those of open_weights.
Result<ModelHashes> verify_model(const std::filesystem::path& path, HashCache& hashes);

/// Removes a model: a file, a link (not what it leads to) or a folder. Errors: kIo.
Status remove_model(const ModelEntry& entry);

}  // namespace safelight::app
