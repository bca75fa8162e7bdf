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
        arena_bytes_(std::make_shared<uint64_t>(0)),
        arena_(std::make_shared<Arena>(arena_bytes_)),
        max_memory_(options.max_memory),
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
    auto loaded = std::make_shared<CpuWeights>(std::move(weights), engine_, std::move(cache));
    loaded_.push_back(loaded);
    return loaded;
  }

  std::shared_ptr<LoadedWeights> load_changed(const std::shared_ptr<LoadedWeights>& base,
                                              weights::ChangedWeights changed) override {
    auto loaded = std::make_shared<CpuWeights>(own(base), std::move(changed));
    loaded_.push_back(loaded);
    return loaded;
  }

  Result<std::unique_ptr<Executable>> compile(
      const graph::Graph& graph, const std::shared_ptr<LoadedWeights>& weights) override {
    auto held = own(weights);
    try {
      LoweredPlan lowered = lower(graph, *held, planner_, lowering_);
      planner_.save();
      held->end_packing();
      const Plan& plan = lowered.plan;
      if (Status fits = check_memory(plan.arena_bytes, plan.persistent_bytes); !fits)
        return fits.error();
      return std::unique_ptr<Executable>(
          std::make_unique<CpuExecutable>(std::move(lowered), std::move(held), arena_, arena_bytes_,
                                          profiles_ ? &profile_ : nullptr));
    } catch (const std::bad_alloc&) {
      return Error{ErrorCode::kOutOfMemory, "not enough memory to prepare the model"};
    } catch (const dnnl::error& error) {
      const bool memory = error.status == dnnl_out_of_memory;
      return Error{memory ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
                   fmt::format("oneDNN refused a layer: {}", error.what())};
    }
  }

  Result<std::shared_ptr<void>> reserve(uint64_t bytes) override {
    // As much again must be left for the work on it.
    const uint64_t arena_bytes = std::max<uint64_t>(arena_->size(), bytes);
    if (Status fits = check_memory(arena_bytes, bytes); !fits) return fits.error();
    *arena_bytes_ += bytes;
    return std::shared_ptr<void>(nullptr,
                                 [total = arena_bytes_, bytes](void*) { *total -= bytes; });
  }

 private:
  static std::shared_ptr<CpuWeights> own(const std::shared_ptr<LoadedWeights>& weights) {
    auto held = std::dynamic_pointer_cast<CpuWeights>(weights);
    if (!held) throw std::invalid_argument("these weights were loaded by another engine");
    return held;
  }

  /// Bytes of all weights that are still in use.
  uint64_t weight_bytes() {
    std::erase_if(loaded_, [](const auto& weights) { return weights.expired(); });
    uint64_t bytes = 0;
    for (const auto& weights : loaded_) bytes += weights.lock()->bytes();
    return bytes;
  }

  /// Whether an arena of that size and more memory can be had beside what is held. Makes the arena
  /// smaller where that is needed.
  Status check_memory(uint64_t arena_bytes, uint64_t more) {
    const uint64_t needed = arena_bytes + more;
    const uint64_t there = available_memory() + arena_->size();
    if (needed > there) {
      return Error{ErrorCode::kOutOfMemory,
                   fmt::format("this picture needs {} MiB of working memory; {} MiB are free. "
                               "Make it smaller, or the batch",
                               needed >> 20, there >> 20)};
    }
    if (max_memory_ == 0) return {};
    const uint64_t held = weight_bytes() + *arena_bytes_ - arena_->size() + more;
    if (held + std::max<uint64_t>(arena_bytes, arena_->size()) <= max_memory_) return {};
    if (held + arena_bytes > max_memory_) {
      return Error{ErrorCode::kOutOfMemory,
                   fmt::format("this picture needs {} MiB, weights included; --max-memory allows "
                               "{} MiB. Allow more, make it smaller, or the batch",
                               (held + arena_bytes) >> 20, max_memory_ >> 20)};
    }
    arena_->release();  // a run takes what it needs anew
    return {};
  }

  Isa isa_;
  dnnl::engine engine_;
  std::shared_ptr<uint64_t> arena_bytes_;  // of all arenas, of executables too, and reserved ones
  std::shared_ptr<Arena> arena_;
  std::vector<std::weak_ptr<CpuWeights>> loaded_;
  uint64_t max_memory_;
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
