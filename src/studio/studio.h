#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "guard/guard.h"
#include "image/guarded.h"
#include "pipelines/latent_model.h"
#include "request/request.h"

namespace safelight::studio {

/// A checkpoint as metadata and file names call it.
struct ModelFile {
  std::filesystem::path path;
  std::string name;
  std::string hash;    ///< the first ten hexadecimal digits of its SHA-256; empty when not known
  std::string sha256;  ///< all of it
};

/// Finds the checkpoint that a request names; an empty name is the default.
using ModelFinder = std::function<Result<ModelFile>(const std::string& name)>;

struct StudioOptions {
  std::string engine = "auto";
  engine::EngineOptions engine_options;
  ModelFinder find_model;
  std::string version;  ///< of the program, for metadata
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

struct RunOptions {
  std::function<void(const Progress&)> progress;  ///< may be empty
  std::function<Status(const Picture&)>
      deliver;  ///< each picture as soon as it is released; an error ends the run
  const engine::StopFlag* stop = nullptr;
};

/// Where guard, pipeline and metadata meet: runs requests, one at a time, and keeps the last model
/// loaded.
class Studio {
 public:
  /// Errors: those of make_engine.
  static Result<std::unique_ptr<Studio>> make(StudioOptions options);

  /// Draws the request's pictures. It is validated first and its choices are resolved (seeds,
  /// size); every error that can be known before work comes before work. Errors: kInvalidArgument,
  /// kNotFound, those of the model's file, kOutOfMemory, kCancelled, kRefused.
  Status run(const request::Request& request, const RunOptions& options);

  const engine::Engine& engine() const { return *engine_; }

 private:
  explicit Studio(StudioOptions options) : options_(std::move(options)) {}
  Result<pipelines::LatentModel*> model(const ModelFile& file);
  Picture picture(const request::Request& request, const ModelFile& file,
                  image::ReleasedImage image) const;

  StudioOptions options_;
  std::unique_ptr<engine::Engine> engine_;
  guard::Guard guard_;
  std::filesystem::path loaded_path_;
  std::unique_ptr<pipelines::LatentModel> loaded_;
};

}  // namespace safelight::studio
