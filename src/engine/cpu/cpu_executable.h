#pragma once

#include <memory>

#include "engine/cpu/arena.h"
#include "engine/cpu/lowering.h"

namespace safelight::engine::cpu {

class CpuExecutable : public Executable {
 public:
  /// `arena`: for intermediate values, shared by all executables of an engine, of which one runs at
  /// a time. `total`: see Arena. `profile` may be null.
  CpuExecutable(LoweredPlan lowered, std::shared_ptr<CpuWeights> weights,
                std::shared_ptr<Arena> arena, std::shared_ptr<uint64_t> total, Profile* profile);

  void set_input(size_t index, const Tensor& tensor) override;
  Status run(const StopFlag* stop) override;
  Tensor output(size_t index) const override;

 private:
  Workspace workspace(std::byte* arena, const StopFlag* stop) const;

  Plan plan_;
  std::shared_ptr<CpuWeights> weights_;
  std::shared_ptr<Arena> arena_;
  mutable Arena persistent_;
  Profile* profile_;
  std::vector<size_t> profile_rows_;  ///< of each step
};

}  // namespace safelight::engine::cpu
