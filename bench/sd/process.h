#pragma once

#include <cstdint>

namespace safelight::bench {

/// The most memory that this process ever had resident, pages of mapped files included, in bytes
/// (VmHWM).
uint64_t peak_memory();

/// Seconds since the kernel started this process, to a hundredth.
double seconds_since_start();

}  // namespace safelight::bench
