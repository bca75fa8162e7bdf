#pragma once

#include "engine/cpu/isa.h"
#include "engine/cpu/kernels/buffer.h"

namespace safelight::engine::cpu {

/// What the processor and the user's choices mean for a plan.
struct LoweringOptions {
  Storage storage = Storage::kF32;  ///< of values that do not ask for float32
  Isa isa = Isa::kSse4;
  int threads = 1;
  double longest_call = 0;  ///< FLOP of a call that cannot be stopped

  /// oneDNN multiplies bf16 here (by emulation where there are no bf16 instructions); else products
  /// are done in float32.
  bool native_bf16() const { return isa >= Isa::kAvx512; }
};

}  // namespace safelight::engine::cpu
