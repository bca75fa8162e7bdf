#include "text/emphasis.h"

#include <gtest/gtest.h>

namespace safelight::text {
namespace {

TEST(Emphasis, KeepsTheMean) {
  const std::vector<float> weights{1, 2};
  Tensor encoded({1, 2, 2}, {1, 2, 3, 6});
  emphasise(encoded, weights, Emphasis::kOriginal);  // sums 12 and 21
  EXPECT_FLOAT_EQ(encoded.data[0], 12.0F / 21);
  EXPECT_FLOAT_EQ(encoded.data[3], 12 * 12.0F / 21);
  Tensor plain({1, 2, 2}, {1, 2, 3, 6});
  emphasise(plain, weights, Emphasis::kNoNorm);
  EXPECT_EQ(plain.data, (std::vector<float>{1, 2, 6, 12}));
  emphasise(plain, weights, Emphasis::kIgnore);
  EXPECT_EQ(plain.data, (std::vector<float>{1, 2, 6, 12}));
}

TEST(Emphasis, DividesByNoZero) {
  const std::vector<float> none{0, 0}, opposite{1, -1};
  Tensor encoded({1, 2, 2}, {1, 2, 2, 1});
  emphasise(encoded, opposite, Emphasis::kOriginal);  // sums 6 and 0
  EXPECT_EQ(encoded.data, (std::vector<float>{1, 2, -2, -1}));
  emphasise(encoded, none, Emphasis::kOriginal);
  EXPECT_EQ(encoded.data, (std::vector<float>{0, 0, 0, 0}));
}

TEST(Emphasis, ComfyuiNeedsTheEmptyPromptForWeightsAlone) {
  const std::vector<float> weights{1, 2}, plain{1, 1};
  EXPECT_TRUE(needs_empty(weights, Emphasis::kComfyui));
  EXPECT_FALSE(needs_empty(plain, Emphasis::kComfyui));
  EXPECT_FALSE(needs_empty(weights, Emphasis::kOriginal));
}

TEST(Emphasis, IsFoundByName) {
  EXPECT_EQ(find_emphasis("original").value(), Emphasis::kOriginal);
  EXPECT_EQ(find_emphasis("no-norm").value(), Emphasis::kNoNorm);
  EXPECT_EQ(find_emphasis("ignore").value(), Emphasis::kIgnore);
  EXPECT_EQ(find_emphasis("loud").error().message,
            "emphasis 'loud' is unknown; use original, no-norm, ignore or comfyui");
}

}  // namespace
}  // namespace safelight::text
