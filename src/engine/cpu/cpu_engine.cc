#include "engine/cpu/cpu_engine.h"

#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <fstream>
#include <new>

#include "engine/cpu/cpu_executable.h"
#include "engine/cpu/isa.h"

namespace safelight::engine::cpu {
namespace {

constexpr int kMaxThreads = 1024;

uint64_t total_memory() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Memory that can be had without swapping, as the kernel estimates it; all of it where that cannot
/// be read.
uint64_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  for (uint64_t kib = 0; meminfo >> key >> kib; std::getline(meminfo, unit)) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return total_memory();
}

class CpuEngine : public Engine {
 public:
  explicit CpuEngine(const EngineOptions& options)
      : isa_(active_isa()),
        engine_(dnnl::engine::kind::cpu, 0),
        arena_(std::make_shared<Arena>()),
        planner_(options.product_methods, options.choices_file),
        weights_cache_(options.weights_cache),
        profiles_(options.profile) {
    const int threads = options.threads > 0 ? options.threads : omp_get_num_procs();
    omp_set_num_threads(threads);
    const bool native_bf16 = isa_ == Isa::kAvx512Bf16;
    Precision precision = options.precision;
    if (precision == Precision::kAuto) precision = native_bf16 ? Precision::kBF16 : Precision::kF32;
    device_ = {.engine = "cpu",
               .name = cpu_name(),
               .features = std::string(isa_name(isa_)),
               .threads = threads,
               .memory = total_memory(),
               .precision = precision};
    lowering_ = {.storage = precision == Precision::kBF16 ? Storage::kBF16 : Storage::kF32,
                 .isa = isa_,
                 .threads = threads,
                 .longest_call = options.longest_call};
  }

  const DeviceInfo& device() const override { return device_; }
  const Profile& profile() const override { return profile_; }
  void clear_profile() override { profile_.clear(); }

  std::shared_ptr<LoadedWeights> load(weights::BoundWeights weights) override {
    std::optional<PackedFile> cache;
    if (!weights_cache_.empty() && !weights.identity.empty()) {
      cache.emplace(weights_cache_ / (weights.identity + ".packed"), onednn_version());
    }
    return std::make_shared<CpuWeights>(std::move(weights), engine_, std::move(cache));
  }

  Result<std::unique_ptr<Executable>> compile(
      const graph::Graph& graph, const std::shared_ptr<LoadedWeights>& weights) override {
    auto held = std::dynamic_pointer_cast<CpuWeights>(weights);
    if (!held) throw std::invalid_argument("these weights were loaded by another engine");
    try {
      LoweredPlan lowered = lower(graph, *held, planner_, lowering_);
      planner_.save();
      held->end_packing();
      const uint64_t needed = lowered.plan.arena_bytes + lowered.plan.persistent_bytes;
      const uint64_t there = available_memory() + arena_->size();
      if (needed > there) {
        return Error{ErrorCode::kOutOfMemory,
                     fmt::format("this picture needs {} MiB of working memory; {} MiB are free. "
                                 "Make it smaller, or the "
                                 "batch",
                                 needed >> 20, there >> 20)};
      }
      return std::unique_ptr<Executable>(std::make_unique<CpuExecutable>(
          std::move(lowered), std::move(held), arena_, profiles_ ? &profile_ : nullptr));
    } catch (const std::bad_alloc&) {
      return Error{ErrorCode::kOutOfMemory, "not enough memory to prepare the model"};
    } catch (const dnnl::error& error) {
      const bool memory = error.status == dnnl_out_of_memory;
      return Error{memory ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
                   fmt::format("oneDNN refused a layer: {}", error.what())};
    }
  }

 private:
  Isa isa_;
  dnnl::engine engine_;
  std::shared_ptr<Arena> arena_;
  ProductPlanner planner_;
  std::filesystem::path weights_cache_;
  bool profiles_;
  Profile profile_;
  DeviceInfo device_;
  LoweringOptions lowering_;
};

}  // namespace

Result<std::unique_ptr<Engine>> make_cpu_engine(const EngineOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("threads is {}; 1 to {} are possible, 0 for all processors",
                             options.threads, kMaxThreads)};
  }
  return std::unique_ptr<Engine>(std::make_unique<CpuEngine>(options));
}

}  // namespace safelight::engine::cpu
