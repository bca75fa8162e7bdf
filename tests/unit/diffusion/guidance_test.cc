#include "diffusion/guidance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/guidance/attention_guidance.h"
#include "diffusion/guidance/dynamic_threshold.h"
#include "diffusion/guidance/negative_skips.h"
#include "diffusion/guidance/projected.h"

namespace safelight::diffusion {
namespace {

double deviation(const float* values, int64_t n) {
  double mean = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) mean += values[i] / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return std::sqrt(squares / static_cast<double>(n - 1));
}

TEST(Guidance, GoesFromOnePredictionThroughTheOther) {
  const Tensor uncond({1, 1, 1, 2}, {1, 2}), cond({1, 1, 1, 2}, {3, -2});
  EXPECT_EQ(guided(uncond, cond, 0).data, uncond.data);
  EXPECT_EQ(guided(uncond, cond, 1).data, cond.data);
  EXPECT_EQ(guided(uncond, cond, 7.5).data, (std::vector<float>{16, -28}));
}

TEST(Guidance, RescalesEachPictureToItsOwnContrast) {
  const Tensor strong({2, 1, 1, 4}, {10, -10, 20, 0, 1, 3, 5, 9}),
      cond({2, 1, 1, 4}, {1, -1, 2, 0, 4, 4, 4, 8});
  EXPECT_EQ(rescaled(strong, cond, 0).data, strong.data);
  const Tensor full = rescaled(strong, cond, 1);
  for (const int64_t picture : {0, 1}) {
    EXPECT_NEAR(deviation(full.begin() + 4 * picture, 4), deviation(cond.begin() + 4 * picture, 4),
                1e-6);
  }
  EXPECT_NEAR(full.data[0], 1, 1e-6);  // the first picture is ten times its cond
  EXPECT_NEAR(rescaled(strong, cond, 0.5).data[0], 5.5, 1e-5);
}

TEST(Guidance, LeavesAPictureWithoutContrastAlone) {
  const Tensor flat({1, 1, 1, 3}, {2, 2, 2}), cond({1, 1, 1, 3}, {1, 2, 3});
  EXPECT_EQ(rescaled(flat, cond, 1).data, flat.data);
  const Tensor one({1, 1, 1, 1}, {2});  // a deviation of one number does not exist
  EXPECT_EQ(rescaled(one, one, 1).data, one.data);
}

TEST(Guidance, ActsInItsInterval) {
  for (int64_t step = 0; step < 10; ++step) {
    EXPECT_TRUE(guidance_acts(step, 10, 0, 1)) << step;
    EXPECT_EQ(guidance_acts(step, 10, 0.2, 0.5), step >= 2 && step < 5) << step;
    EXPECT_EQ(guidance_acts(step, 10, 0.7, 1), step >= 7) << step;
    EXPECT_FALSE(guidance_acts(step, 10, 0, 0)) << step;
  }
  EXPECT_TRUE(guidance_acts(10, 10, 0, 1)) << "an evaluation after the last step counts to it";
  EXPECT_TRUE(guidance_acts(50, 10, 0, 1)) << "a run that makes more steps than asked for";
}

TEST(Guidance, LeavesTheNegativePromptOutAsWebUi) {
  for (int64_t call = 0; call < 10; ++call) {
    EXPECT_FALSE(skips_negative({}, call, 10, 0.01)) << call;
    EXPECT_EQ(skips_negative({.skip_early_cond = 0.2}, call, 10, 5), call <= 2) << call;
    EXPECT_EQ(skips_negative({.s_min_uncond = 3}, call, 10, 2.9), call % 2 == 1) << call;
    EXPECT_FALSE(skips_negative({.s_min_uncond = 3}, call, 10, 3)) << call;
    EXPECT_TRUE(skips_negative({.s_min_uncond = 3, .s_min_uncond_all = true}, call, 10, 2.9));
  }
}

TEST(Guidance, ProjectedTakesWhatLiesAlongThePictureOut) {
  const Tensor uncond({1, 1, 1, 2}, {0, 0}), cond({1, 1, 1, 2}, {3, 4});
  EXPECT_EQ(ProjectedGuidance({.eta = 0})(uncond, cond, 9).data, cond.data);
  EXPECT_EQ(ProjectedGuidance({.eta = 1})(uncond, cond, 2).data, (std::vector<float>{6, 8}));
  EXPECT_EQ(ProjectedGuidance({.eta = 1, .threshold = 2.5})(uncond, cond, 3).data,
            (std::vector<float>{6, 8}))
      << "half the direction, twice";
  EXPECT_EQ(ProjectedGuidance({.eta = 1, .threshold = 1})(cond, cond, 7).data, cond.data)
      << "no direction has no norm to divide by";
}

TEST(Guidance, ThresholdedPicturesWithoutContrastStay) {
  const Tensor uncond({1, 1, 1, 3}, {0, 0, 0}), cond({1, 1, 1, 3}, {1, 1, 1});
  EXPECT_EQ(threshold_guided(uncond, cond, 20, {}, 0.5).data, (std::vector<float>{20, 20, 20}));
  EXPECT_FALSE(find_scale_curve("sideways").has_value());
}

TEST(Guidance, ABlurOfNoWidthOrOnOneLatentChangesNothing) {
  const Tensor picture({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}), attention({1, 1, 1}, {2});
  EXPECT_EQ(degraded(picture, attention, {.blur_sigma = 0}).data, picture.data);
  const Tensor one({1, 1, 1, 1}, {7});
  EXPECT_FLOAT_EQ(degraded(one, attention, {.blur_sigma = 3}).data[0], 7);
}

}  // namespace
}  // namespace safelight::diffusion
