#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/random.h"
#include "base/tensor.h"

namespace safelight::diffusion {

/// Whose random numbers draw the noise.
enum class NoiseSource {
  kCpu,  ///< torch's CPU generator
  kNv,   ///< Philox as on NVIDIA GPUs
};

struct NoiseOptions {
  std::vector<int64_t> shape;      ///< of one picture's latents: [C, h, w]
  std::vector<uint64_t> seeds;     ///< one a picture
  std::vector<uint64_t> subseeds;  ///< one a picture, where subseed_strength is not 0
  float subseed_strength = 0;
  int64_t seed_resize_height = 0, seed_resize_width = 0;  ///< in latents; 0 for off
  int64_t eta_noise_seed_delta = 0;
  NoiseSource source = NoiseSource::kCpu;
};

/// The noise of a batch in which each picture has its own generator, so that a picture does not
/// depend on its place: SD WebUI's ImageRNG (modules/rng.py), with variation seeds and seed
/// resizing.
class ImageNoise {
 public:
  explicit ImageNoise(NoiseOptions options);
  /// The noise to start from, [B, C, h, w]; to be called once, first.
  Tensor first();
  /// The noise that a sampler adds next, [B, C, h, w].
  Tensor next();

  NoiseSource source() const { return options_.source; }

 private:
  using Generator = std::variant<TorchGenerator, PhiloxGenerator>;
  Generator generator(uint64_t seed) const;
  Tensor first_of(size_t index);

  NoiseOptions options_;
  std::vector<Generator> generators_;
};

}  // namespace safelight::diffusion
