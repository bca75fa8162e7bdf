#pragma once

#include <cstdint>

namespace safelight::bench {

/// Runs `rounds` rounds of fused multiply-adds that touch registers only, on the calling thread,
/// with the widest vectors in use. Gives the number of floating-point operations done (two a
/// multiply-add).
int64_t run_fma_loop(int64_t rounds);

}  // namespace safelight::bench
