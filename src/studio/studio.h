#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "guard/guard.h"
#include "image/guarded.h"
#include "pipelines/conditioning_cache.h"
#include "request/request.h"
#include "studio/model_cache.h"

namespace safelight::studio {

/// Finds the checkpoint that a request names; an empty name is the default.
using ModelFinder = std::function<Result<ModelFile>(const std::string& name)>;

struct StudioOptions {
  std::string engine = "auto";
  engine::EngineOptions engine_options;
  ModelFinder find_model;
  std::string version;         ///< of the program, for metadata
  uint64_t memory_budget = 0;  ///< bytes of loaded models; 0: half of what the engine may use
};

/// One finished picture.
struct Picture {
  image::ReleasedImage image;
  request::Request request;  ///< that draws just this picture again: its own seed, a batch of one
  std::string infotext;      ///< SD WebUI's generation text
  ModelFile model;
};

/// How far a request is. Batches are drawn one after the other.
struct Progress {
  int64_t batch = 0, batches = 1;
  int64_t step = 0, steps = 0;
};

/// Asks a run from another thread to end early and keep what is drawn so far.
struct EarlyEnd {
  std::atomic<bool> run = false;    ///< no further batch either
  std::atomic<bool> batch = false;  ///< the next one begins; taken back then
};

/// Functions may be empty, but `deliver`.
struct RunOptions {
  /// The model is loaded, which took so long, and the first step comes.
  std::function<void(double load_seconds)> started;
  std::function<void(const Progress&)> progress;
  std::function<Status(const Picture&)>
      deliver;  ///< each picture as soon as it is released; an error ends the run
  std::function<bool()> preview_due;  ///< asked after each step
  std::function<void(const image::ReleasedImage&)> preview;
  const engine::StopFlag* stop = nullptr;  ///< ends the run at once
  EarlyEnd* early_end = nullptr;
  std::string model_sha256;  ///< that the model must have; empty for any
};

/// A model in memory, as told to people.
struct LoadedModel {
  std::string name, sha256;
  uint64_t bytes = 0;
  bool pinned = false;
};

/// Where guard, pipeline and metadata meet: runs requests, one at a time, and keeps models and
/// encoded prompts (ModelCache, pipelines::ConditioningCache). One thread at a time.
class Studio {
 public:
  /// Errors: those of make_engine.
  static Result<std::unique_ptr<Studio>> make(StudioOptions options);

  /// Draws the request's pictures. It is validated first and its choices are resolved (seeds,
  /// size); every error that can be known before work comes before work. Errors: kInvalidArgument,
  /// kNotFound, those of the model's file, kConflict when the model is not the one asked for,
  /// kOutOfMemory, kCancelled (also of a run that was ended early, when all is delivered),
  /// kRefused.
  Status run(const request::Request& request, const RunOptions& options);

  /// Loads the model, so that the next request that names it finds it. Errors: those of its file,
  /// kOutOfMemory.
  Status load(const std::string& name);
  /// Drops the model of that name, or all of them when it is empty. Errors: kNotFound when it is
  /// not loaded.
  Status unload(const std::string& name);
  /// `bytes` as StudioOptions::memory_budget.
  void set_memory(uint64_t bytes, std::vector<std::string> pinned);
  /// The one used last comes first.
  std::vector<LoadedModel> models() const;

  const engine::Engine& engine() const { return *engine_; }
  const guard::Guard& guard() const { return guard_; }

 private:
  explicit Studio(StudioOptions options);
  uint64_t budget(uint64_t asked) const;
  Result<CachedModel*> model(const std::string& name, const std::string& sha256);
  Status run_batch(CachedModel& model, const request::Request& request, int64_t batch,
                   const RunOptions& options);
  Result<std::vector<image::UncheckedImage>> draw(CachedModel& model,
                                                  const request::Request& request, int64_t batch,
                                                  const RunOptions& options);
  Picture picture(const request::Request& request, const ModelFile& file,
                  image::ReleasedImage image) const;

  StudioOptions options_;
  std::unique_ptr<engine::Engine> engine_;
  guard::Guard guard_;
  ModelCache models_;
  pipelines::ConditioningCache conditionings_;
};

}  // namespace safelight::studio
