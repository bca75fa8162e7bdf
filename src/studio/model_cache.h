#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/latent_model.h"
#include "pipelines/latent_preview.h"
#include "pipelines/model_source.h"
#include "pipelines/taesd_decoder.h"

namespace safelight::studio {

/// A checkpoint as metadata and file names call it, and how it is read.
struct ModelFile {
  std::filesystem::path path;
  std::string name;
  std::string hash;    ///< the first ten hexadecimal digits of its SHA-256; empty when not known
  std::string sha256;  ///< all of it
  std::vector<pipelines::PartFile> parts = {};  ///< in the place of its own networks
  std::string prediction = "auto";              ///< see request::Request

  /// What tells its weights from all others.
  std::string identity() const;
  /// Whether both are the same weights, read in the same way.
  bool same_as(const ModelFile& other) const {
    return path == other.path && sha256 == other.sha256 && parts == other.parts &&
           prediction == other.prediction;
  }
};

/// A model in memory.
struct CachedModel {
  ModelFile file;
  std::unique_ptr<pipelines::LatentModel> model;
  std::shared_ptr<pipelines::LatentPreview> preview = std::make_shared<pipelines::LatentPreview>();
  /// Of its latents; null until it is asked for, or where there is none.
  std::shared_ptr<pipelines::TaesdDecoder> tiny_decoder = nullptr;
};

/// Loaded models under a budget of bytes: the least recently used goes when another does not fit
/// beside it, pinned ones stay. Weights are packed when they are first used, so a model's size is
/// known after a run only: shrink() is for then. One thread at a time.
class ModelCache {
 public:
  using Loader = std::function<Result<std::unique_ptr<pipelines::LatentModel>>(const ModelFile&)>;

  /// `budget` in bytes; 0 for none.
  ModelCache(Loader loader, uint64_t budget) : loader_(std::move(loader)), budget_(budget) {}

  /// The model, loaded now if it is not; it is the most recently used then. Models that would not
  /// fit beside it are dropped first. The pointer is good until the next call that may drop.
  /// Errors: those of loading; kOutOfMemory when pinned models leave no room.
  Result<CachedModel*> get(const ModelFile& file);

  /// Drops models until the rest fits, never the most recently used one.
  void shrink();
  /// Drops the least recently used one that is neither pinned nor the most recently used; false
  /// when there is none.
  bool drop_one();
  /// By name or SHA-256; false when it is not loaded.
  bool drop(const std::string& model);
  void clear() { models_.clear(); }

  void set_budget(uint64_t bytes) { budget_ = bytes; }
  /// Names or SHA-256 of models that only drop() and clear() may drop.
  void set_pinned(std::vector<std::string> models) { pinned_ = std::move(models); }
  bool pinned(const ModelFile& file) const;

  /// The most recently used first.
  const std::list<CachedModel>& models() const { return models_; }
  /// Bytes of all models.
  uint64_t bytes() const;

 private:
  uint64_t expected_bytes(const ModelFile& file) const;

  Loader loader_;
  uint64_t budget_;
  std::vector<std::string> pinned_;
  std::list<CachedModel> models_;
  std::map<std::filesystem::path, uint64_t> known_bytes_;  ///< of models that were dropped
};

}  // namespace safelight::studio
