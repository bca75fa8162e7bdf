#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "guard/guard.h"
#include "image/guarded.h"
#include "pipelines/conditioning_cache.h"
#include "pipelines/networks.h"
#include "request/request.h"
#include "studio/model_cache.h"

namespace safelight::studio {

/// Finds the checkpoint that a request names; an empty name is the default.
using ModelFinder = std::function<Result<ModelFile>(const std::string& name)>;

/// Finds the file that takes the place of a network of `model`; an empty name asks for a VAE beside
/// it. Nothing where there is none of that kind.
using PartFinder = std::function<Result<std::optional<pipelines::PartFile>>(
    pipelines::ModelPart part, const std::string& name, const ModelFile& model)>;
/// Finds the file of a tiny decoder ("taesd", "taesdxl"); nothing where there is none.
using TinyDecoderFinder = std::function<std::optional<std::filesystem::path>(std::string_view)>;

struct StudioOptions {
  std::string engine = "auto";
  engine::EngineOptions engine_options;
  ModelFinder find_model;
  PartFinder find_part = {};                    ///< without it models are their own files alone
  TinyDecoderFinder find_tiny_decoder = {};     ///< without it there are none
  pipelines::NetworkFinder find_networks = {};  ///< functions may be empty: then there are none
  std::string version;                          ///< of the program, for metadata
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
  std::function<void(const std::string&)> note;  ///< what was chosen that nobody asked for
  std::function<Status(const Picture&)>
      deliver;  ///< each picture as soon as it is released; an error ends the run
  std::function<bool()> preview_due;  ///< asked after each step
  std::function<void(const image::ReleasedImage&)> preview;
  const engine::StopFlag* stop = nullptr;  ///< ends the run at once
  EarlyEnd* early_end = nullptr;
  std::string model_sha256;  ///< that the model must have; empty for any
  bool recommends = true;    ///< use_recommended(); false where the request's choices were made
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
  /// The files that the request's model is made of. Errors: those of the finders.
  Result<ModelFile> files_of(const request::Request& request) const;
  /// The files of the request's refiner. Errors: those of the finders.
  Result<ModelFile> refiner_files_of(const request::Request& request) const;
  Result<CachedModel*> model(const request::Request& request, const std::string& sha256);
  /// Gives the model its tiny decoder where there is one. Errors: kNotFound where there is none and
  /// the request is to be decoded with it; those of its file.
  Status prepare_tiny_decoder(CachedModel& model, const request::Request& request,
                              const RunOptions& options);
  Result<std::vector<pipelines::Networks>> networks(const request::Request& request,
                                                    const pipelines::ModelTraits& traits);
  Status run_batch(const ModelFile& file, const request::Request& request, int64_t batch,
                   const pipelines::Networks& networks, const RunOptions& options);
  /// The model of the files draws; loaded again where it had to make room meanwhile.
  Result<std::vector<image::UncheckedImage>> draw(const ModelFile& file,
                                                  const request::Request& request, int64_t batch,
                                                  const pipelines::Networks& networks,
                                                  const RunOptions& options);
  Picture picture(const request::Request& request, const ModelFile& file,
                  const pipelines::Networks& networks, image::ReleasedImage image) const;

  StudioOptions options_;
  std::unique_ptr<engine::Engine> engine_;
  guard::Guard guard_;
  ModelCache models_;
  pipelines::ConditioningCache conditionings_;
  pipelines::NetworkCache network_cache_;
};

}  // namespace safelight::studio
