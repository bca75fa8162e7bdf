// What ImageNoise promises beyond SD WebUI's numbers (tests/golden/golden_samplers/).
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/noise.h"

namespace safelight::diffusion {
namespace {

bool all_finite(const Tensor& x) {
  return std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); });
}

TEST(ImageNoise, AVariationOfStrengthZeroIsTheSeedItself) {
  ImageNoise plain({.shape = {4, 3, 5}, .seeds = {11}});
  ImageNoise varied({.shape = {4, 3, 5}, .seeds = {11}, .subseeds = {12}});
  EXPECT_EQ(plain.first().data, varied.first().data);
}

TEST(ImageNoise, ASeedOfTheSameSizeIsNotResized) {
  ImageNoise plain({.shape = {4, 3, 5}, .seeds = {11}});
  ImageNoise resized(
      {.shape = {4, 3, 5}, .seeds = {11}, .seed_resize_height = 3, .seed_resize_width = 5});
  EXPECT_EQ(plain.first().data, resized.first().data);
  EXPECT_EQ(plain.next().data, resized.next().data);
}

TEST(ImageNoise, VariesNoiseThatIsOneLatentHigh) {
  ImageNoise noise({.shape = {4, 1, 8}, .seeds = {11}, .subseeds = {12}, .subseed_strength = 0.5F});
  EXPECT_TRUE(all_finite(noise.first()));
}

TEST(ImageNoise, MissingSubseedsAreZero) {
  const NoiseOptions options{.shape = {4, 3, 5}, .seeds = {11, 12}, .subseed_strength = 0.5F};
  NoiseOptions given = options;
  given.subseeds = {0, 0};
  EXPECT_EQ(ImageNoise(options).first().data, ImageNoise(given).first().data);
}

TEST(ImageNoise, TheDeltaMovesOnlyLaterNoise) {
  ImageNoise plain({.shape = {4, 3, 5}, .seeds = {11}});
  ImageNoise moved({.shape = {4, 3, 5}, .seeds = {11}, .eta_noise_seed_delta = 5});
  ImageNoise other({.shape = {4, 3, 5}, .seeds = {16}});
  EXPECT_EQ(plain.first().data, moved.first().data);
  EXPECT_EQ(moved.next().data, other.first().data);
}

}  // namespace
}  // namespace safelight::diffusion
