#pragma once

#include "engine/engine.h"

namespace safelight::engine::cpu {

/// The engine for x86-64 processors: oneDNN for convolution and matrix products, own kernels
/// between them. bf16 without AVX-512 means bf16 storage: products widen to float32 and round at
/// their borders. Errors: kInvalidArgument for a thread count below 0 or above 1024.
Result<std::unique_ptr<Engine>> make_cpu_engine(const EngineOptions& options);

}  // namespace safelight::engine::cpu
