#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/sd/random_weights.h"
#include "engine/engine.h"
#include "pipelines/latent_model.h"

namespace safelight::bench {

/// The size of a picture in pixels, and how many are drawn at once.
struct Workload {
  int64_t width = 512, height = 512, batch = 1;
  bool guidance = true;  ///< the denoiser sees each picture with the prompt and without
  const Family* family = &families().front();

  int64_t denoised() const { return guidance ? 2 * batch : batch; }
};

/// What the engine computes in a step of the denoiser, and in a decode of one
/// picture.
graph::Graph step_graph(const Workload& workload);
graph::Graph decode_graph(const Workload& workload);

/// What a number of equal runs took.
struct Timing {
  double first = 0;                                 ///< seconds of the run that warms up
  std::vector<double> seconds;                      ///< of each run after it
  double flops = 0;                                 ///< of one run, counted from the graph
  std::vector<engine::Profile::Row> kinds, layers;  ///< of all runs after the first together
  uint64_t peak_memory = 0;                         ///< of the process so far, in bytes

  double median() const;
  double rate() const { return flops / median(); }  ///< in FLOP/s
};

/// A model as the program runs it: one step of the denoiser for a prompt
/// of one chunk, and the decoder for one picture.
class Model {
 public:
  /// Opens a checkpoint of exactly these sizes. Errors: those of the readers, the engine and the
  /// pipeline.
  static Result<std::unique_ptr<Model>> open(const std::filesystem::path& path,
                                             const engine::EngineOptions& options);

  /// Encodes the prompts and compiles the denoiser for a workload; step() runs it.
  Status prepare(const Workload& workload);
  Status step(const engine::StopFlag* stop = nullptr);
  Status decode(const Workload& workload, const engine::StopFlag* stop = nullptr);

  /// Times step() or decode(): one run first, then `repeats` more.
  Result<Timing> time_step(const Workload& workload, int repeats);
  Result<Timing> time_decode(const Workload& workload, int repeats);

  const engine::Engine& engine() const { return *engine_; }

 private:
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<pipelines::LatentModel> model_;
  pipelines::Conditioning prompt_, negative_;
  std::unique_ptr<pipelines::Predictor> predictor_;
  Tensor latents_;
};

}  // namespace safelight::bench
