#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace safelight::bench {

// What the programs that time single kernels share; kernel_bench.cc also has their main() and the
// FMA peak beside which they report.

struct FreeAligned {
  void operator()(std::byte* data) const { ::operator delete[](data, std::align_val_t{64}); }
};
using Bytes = std::unique_ptr<std::byte, FreeAligned>;

/// Memory aligned for every kernel.
Bytes allocate(size_t bytes);

/// Random float32 between 1 and 2 (size 4), or the upper halves of such (size 2): their bits taken
/// as F16 are fine too.
Bytes random_numbers(int64_t count, size_t size);

}  // namespace safelight::bench
