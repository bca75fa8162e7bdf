#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "engine/profile.h"
#include "graph/graph.h"
#include "weights/bound_weights.h"
#include "weights/changed_weight.h"

namespace safelight::engine {

/// The arithmetic and storage of a graph's values where an operator does not ask for float32.
enum class Precision : uint8_t {
  kAuto,  ///< bf16 where the processor multiplies it natively, else f32
  kF32,
  kBF16,
};

std::string_view precision_name(Precision precision);
/// Errors: kInvalidArgument naming the choices.
Result<Precision> find_precision(std::string_view name);

struct EngineOptions {
  Precision precision = Precision::kAuto;
  int threads = 0;  ///< 0: one for each processor that this process may use
  /// Bytes that packed weights and working memory may take together; 0: what the machine has free.
  /// Mapped files do not count: the system takes their memory back where it needs it.
  uint64_t max_memory = 0;
  bool profile = false;  ///< time each step; costs a clock reading per step
  /// Where the fastest way to compute each layer is kept once it was measured. Empty: nothing is
  /// measured, and each layer is computed in the way that is mostly the fastest.
  std::filesystem::path choices_file;
  /// The folder where packed weights are kept, so that a later start need not pack; empty: nowhere.
  std::filesystem::path weights_cache;
  /// The ways to use, by name and in order of preference, for tests and comparisons; empty: all.
  std::vector<std::string> product_methods;
  /// Convolutions of more FLOP are cut in bands, since a library's call cannot be stopped; the
  /// default takes 0.2 s on two slow cores.
  double longest_call = 4e10;
};

/// A device as people want it named.
struct DeviceInfo {
  std::string engine;    ///< "cpu"
  std::string name;      ///< "AMD EPYC 9654 96-Core Processor"
  std::string features;  ///< instruction set or API level in use
  int threads = 0;
  uint64_t memory = 0;                    ///< bytes in all
  Precision precision = Precision::kF32;  ///< what kAuto means there, or the one asked for
};

/// Set from another thread to end a run; a run ends with kCancelled soon after.
using StopFlag = std::atomic<bool>;

/// Weights as an engine holds them: packed once for its kernels and shared by all executables of a
/// model.
class LoadedWeights {
 public:
  virtual ~LoadedWeights() = default;
  /// Bytes held beyond the mapped files.
  virtual uint64_t bytes() const = 0;
};

/// A graph compiled for a device and the shapes of its inputs. Inputs keep their value from run to
/// run until set anew, so that what does not change is given once. One thread at a time.
class Executable {
 public:
  virtual ~Executable() = default;
  /// Sets the i-th input of the graph; a tensor of another shape is a bug and throws
  /// std::invalid_argument.
  virtual void set_input(size_t index, const Tensor& tensor) = 0;
  /// Computes the outputs. Errors: kCancelled when `stop` was set, kInvalidArgument for ids outside
  /// an embedding's table. Every input must have been set.
  virtual Status run(const StopFlag* stop) = 0;
  /// The i-th output of the graph, after run().
  virtual Tensor output(size_t index) const = 0;
};

/// Turns graphs and weights into executables for one device. One thread at a time uses an engine
/// and what it made.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const DeviceInfo& device() const = 0;
  virtual std::shared_ptr<LoadedWeights> load(weights::BoundWeights weights) = 0;
  /// Weights like `base`, which this engine loaded, but for those in `changed`: what did not change
  /// is shared with `base`, packed forms too, and is kept alive with it.
  virtual std::shared_ptr<LoadedWeights> load_changed(const std::shared_ptr<LoadedWeights>& base,
                                                      weights::ChangedWeights changed) = 0;
  /// Errors: kOutOfMemory before working memory is taken, where it would pass what is free or
  /// EngineOptions::max_memory; kInternal where a kernel library refuses.
  virtual Result<std::unique_ptr<Executable>> compile(
      const graph::Graph& graph, const std::shared_ptr<LoadedWeights>& weights) = 0;
  /// Counts memory that the caller will take as the engine's own until the handle goes. Errors:
  /// kOutOfMemory as for compile().
  virtual Result<std::shared_ptr<void>> reserve(uint64_t bytes) = 0;
  /// Times of the steps since the engine was made or the profile cleared; empty without
  /// EngineOptions::profile.
  virtual const Profile& profile() const = 0;
  virtual void clear_profile() = 0;
};

/// The engines of this build, in order of preference: the one explicit list.
std::vector<std::string_view> engine_names();

/// Makes an engine by name; "auto" is the first that has a device here.
/// Errors: kNotFound naming the engines there are; kInvalidArgument for a precision that it cannot
/// do.
Result<std::unique_ptr<Engine>> make_engine(std::string_view name, const EngineOptions& options);

/// Runs a graph once: sets all inputs in order, runs, gives all outputs.
Result<std::vector<Tensor>> run_once(Executable& executable,
                                     const std::vector<const Tensor*>& inputs, size_t output_count,
                                     const StopFlag* stop = nullptr);

}  // namespace safelight::engine
