// What BrownianNoise promises beyond torchsde's numbers (tests/golden/golden_random/).
#include "diffusion/brownian.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace safelight::diffusion {
namespace {

constexpr float kSigmaMin = 0.03F, kSigmaMax = 14.6F;

BrownianNoise motion(const std::vector<uint64_t>& seeds, NoiseSource source = NoiseSource::kCpu) {
  return {{4, 8, 8}, seeds, kSigmaMin, kSigmaMax, source};
}

class Brownian : public ::testing::TestWithParam<NoiseSource> {};
INSTANTIATE_TEST_SUITE_P(Sources, Brownian, ::testing::Values(NoiseSource::kCpu, NoiseSource::kNv));

TEST_P(Brownian, DoesNotDependOnWhatWasAskedBefore) {
  BrownianNoise noise = motion({3}, GetParam()), fresh = motion({3}, GetParam());
  const Tensor first = noise(14.6, 5.25);
  for (int step = 0; step < 300; ++step) {  // more than the increments that it keeps
    noise(14 - 0.04 * step, 13.96 - 0.04 * step);
  }
  EXPECT_EQ(noise(14.6, 5.25).data, first.data);
  EXPECT_EQ(noise(0.75, 0.5).data, fresh(0.75, 0.5).data);
}

TEST_P(Brownian, APictureOfABatchHasTheNoiseOfASingleRun) {
  BrownianNoise batch = motion({3, 4, uint64_t{1} << 40}, GetParam()),
                single = motion({4}, GetParam());
  const Tensor all = batch(2, 1), one = single(2, 1);
  EXPECT_EQ(all.shape, (std::vector<int64_t>{3, 4, 8, 8}));
  EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + one.size()));
  EXPECT_FALSE(std::equal(one.begin(), one.end(), all.begin()));
}

TEST_P(Brownian, IncrementsAddUp) {
  BrownianNoise noise = motion({5}, GetParam());
  const Tensor whole = noise(9, 1), upper = noise(9, 4), lower = noise(4, 1);
  Tensor sum(whole.shape);
  for (size_t i = 0; i < sum.data.size(); ++i) {
    sum.data[i] =
        (upper.data[i] * std::sqrt(5.0F) + lower.data[i] * std::sqrt(3.0F)) / std::sqrt(8.0F);
  }
  EXPECT_LT(nmse(sum, whole), 1e-12);
}

TEST_P(Brownian, GoingBackTurnsTheSign) {
  BrownianNoise noise = motion({5}, GetParam());
  Tensor down = noise(9, 1);
  for (float& value : down) value = -value;
  EXPECT_EQ(noise(1, 9).data, down.data);
}

TEST_P(Brownian, HasUnitVarianceOnLongAndShortIntervals) {
  BrownianNoise noise({4, 64, 64}, {6}, kSigmaMin, kSigmaMax, GetParam());
  for (const double next : {0.5, 6.0, 6.999}) {
    const Tensor x = noise(7, next);
    const double power = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
    EXPECT_NEAR(power / static_cast<double>(x.size()), 1, 0.05) << next;
  }
}

TEST_P(Brownian, IsFiniteWhereTheReferenceRecursesForEver) {
  BrownianNoise noise = motion({5}, GetParam());
  const auto finite = [](float value) { return std::isfinite(value); };
  for (const double next : {7.0, 7 + 1e-9, 7 + 5e-7}) {
    const Tensor x = noise(7, next);
    EXPECT_TRUE(std::all_of(x.begin(), x.end(), finite)) << next;
  }
  EXPECT_EQ(noise(7, 7).data, Tensor({1, 4, 8, 8}).data);
  const Tensor beyond = noise(20, 15);  // above sigma_max, where the motion stands still
  EXPECT_EQ(beyond.data, Tensor(beyond.shape).data);
}

}  // namespace
}  // namespace safelight::diffusion
