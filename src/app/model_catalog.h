#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/hash_cache.h"
#include "base/result.h"

namespace safelight::app {

/// What the folder of a model says that it is for.
enum class ModelKind {
  kCheckpoint,
  kVae,
  kLora,
  kEmbedding,
  kControlNet,
  kUpscaler,
  kDenoiser,
  kTextEncoder,
  kTinyDecoder,
};

std::string_view name_of(ModelKind kind);  ///< "checkpoint", "vae", "lora", ...

/// The folder for models of a kind, as SD.Next names it: "Stable-diffusion", "VAE", "Lora", ...
std::string_view folder_of(ModelKind kind);

/// `name` without the ending of a model file, if it has one.
std::string_view without_model_ending(std::string_view name);

/// A model that was found: a file of safetensors, GGUF or torch, or a folder in diffusers' layout.
struct ModelEntry {
  std::string name;  ///< the file's name without its ending, or the folder's
  ModelKind kind = ModelKind::kCheckpoint;
  std::filesystem::path path;
  uint64_t size = 0;  ///< bytes; of all files of a folder
};

/// The models below some roots. A root may be laid out as SD.Next's, SD WebUI's (A1111) or
/// ComfyUI's models folder, or be the folder that contains such a `models`; checkpoints may also
/// lie in the root itself or in a folder of their own there.
class ModelCatalog {
 public:
  /// Looks through the roots in order; those that do not exist are skipped. Of models of one kind
  /// with the same name the first found is the one that the name means.
  static ModelCatalog scan(const std::vector<std::filesystem::path>& roots);

  /// Sorted by kind, then name.
  const std::vector<ModelEntry>& entries() const { return entries_; }

  /// The model that a user means by `text`: a name with or without its ending (case counts only
  /// where two names differ by it), SD WebUI's title `name [abc123]` with the beginning of the
  /// file's SHA-256, or the path of a file or folder. Errors: kNotFound naming the nearest model,
  /// or the roots when there is none; also when `hashes` knows that the title means another file.
  Result<ModelEntry> find(std::string_view text, ModelKind kind, const HashCache& hashes) const;

  /// The same for a name alone: no path, and no title with a hash.
  Result<ModelEntry> find_listed(std::string_view name, ModelKind kind) const;

  /// The model of any kind that `name` means. Errors: kNotFound; kInvalidArgument when models of
  /// several kinds have the name.
  Result<ModelEntry> find(std::string_view name) const;

 private:
  const ModelEntry* find_name(std::string_view name, ModelKind kind) const;
  Error not_found(std::string_view text, ModelKind kind) const;

  std::vector<std::filesystem::path> roots_;
  std::vector<ModelEntry> entries_;
};

}  // namespace safelight::app
