#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>

namespace safelight {

/// The random numbers of `torch.Generator("cpu")`, bit for bit as torch's AVX2 build draws them, on
/// any processor.
class TorchGenerator {
 public:
  /// As torch.Generator().manual_seed(seed): only the lower 32 bits count.
  explicit TorchGenerator(uint64_t seed) : engine_(static_cast<uint32_t>(seed)) {}

  /// As torch.randn(out.size(), generator=...): under 16 values one by one in double precision,
  /// else vectors of 16 (aten/src/ATen/native/cpu/DistributionTemplates.h).
  void randn(std::span<float> out);

 private:
  double uniform_double();
  double next_normal();

  std::mt19937 engine_;
  std::optional<double> spare_;  ///< Box-Muller draws two
};

/// The random numbers of CUDA's torch.randn as SD WebUI's "NV" source draws them: Philox 4x32-10
/// (Salmon et al. 2011), one counter a value, each call with the next offset.
class PhiloxGenerator {
 public:
  explicit PhiloxGenerator(uint64_t seed) : seed_(seed) {}
  void randn(std::span<float> out);

 private:
  uint64_t seed_;
  uint32_t offset_ = 0;
};

/// A seed from the operating system in [0, 2^32 - 2], the range in which SD WebUI draws.
uint32_t random_seed();

}  // namespace safelight
