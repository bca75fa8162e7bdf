#pragma once

#include <cstdlib>
#include <memory>

#include "engine/cpu/lowering.h"

namespace safelight::engine::cpu {

/// Memory for intermediate values, shared by all executables of an engine (one runs at a time);
/// grows to the largest.
class Arena {
 public:
  /// At least `bytes`, aligned for every kernel. Throws std::bad_alloc.
  std::byte* reserve(size_t bytes);
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

class CpuExecutable : public Executable {
 public:
  /// `profile` may be null.
  CpuExecutable(LoweredPlan lowered, std::shared_ptr<CpuWeights> weights,
                std::shared_ptr<Arena> arena, Profile* profile);

  void set_input(size_t index, const Tensor& tensor) override;
  Status run(const StopFlag* stop) override;
  Tensor output(size_t index) const override;

 private:
  Workspace workspace(std::byte* arena) const;

  Plan plan_;
  std::shared_ptr<CpuWeights> weights_;
  std::shared_ptr<Arena> arena_;
  mutable Arena persistent_;
  Profile* profile_;
};

}  // namespace safelight::engine::cpu
