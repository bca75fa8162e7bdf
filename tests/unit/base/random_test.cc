// What the generators promise beyond the recorded numbers (tests/golden/golden_random/).
#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/box_muller.h"

namespace safelight {
namespace {

template <class Generator>
std::vector<float> draw(Generator& generator, size_t count) {
  std::vector<float> values(count);
  generator.randn(values);
  return values;
}

template <class Generator>
class Normals : public ::testing::Test {};
using Generators = ::testing::Types<TorchGenerator, PhiloxGenerator>;
TYPED_TEST_SUITE(Normals, Generators);

TYPED_TEST(Normals, HaveTheMomentsOfTheStandardNormal) {
  TypeParam generator(9);
  const std::vector<float> values = draw(generator, 1 << 18);
  std::array<double, 4> moments{};
  for (const double x : values) {
    for (int power = 1; power <= 4; ++power) {
      moments[static_cast<size_t>(power - 1)] += std::pow(x, power) / (1 << 18);
    }
  }
  EXPECT_NEAR(moments[0], 0, 0.01);
  EXPECT_NEAR(moments[1], 1, 0.02);
  EXPECT_NEAR(moments[2], 0, 0.04);
  EXPECT_NEAR(moments[3], 3, 0.1);
}

TYPED_TEST(Normals, GoOnFromCallToCall) {
  TypeParam once(9), again(9);
  const std::vector<float> first = draw(once, 40), second = draw(once, 40);
  EXPECT_NE(first, second);
  EXPECT_EQ(draw(again, 40), first);
  EXPECT_EQ(draw(again, 40), second);
}

TEST(TorchGenerator, SeedsByTheLower32Bits) {
  TorchGenerator low(5), high((uint64_t{1} << 32) + 5), other(6);
  const std::vector<float> values = draw(low, 20);
  EXPECT_EQ(draw(high, 20), values);
  EXPECT_NE(draw(other, 20), values);
}

TEST(TorchGenerator, KeepsTheSpareNormalOfAShortCallThroughALongOne) {
  TorchGenerator pair(5), apart(5);
  const std::vector<float> both = draw(pair, 2);
  EXPECT_EQ(draw(apart, 1)[0], both[0]);
  draw(apart, 16);
  draw(apart, 0);
  EXPECT_EQ(draw(apart, 1)[0], both[1]);
}

TEST(TorchGenerator, DrawsTheLastSixteenAnewWhereTheyDoNotFit) {
  TorchGenerator whole(5), odd(5);
  const std::vector<float> long_call = draw(whole, 48), odd_call = draw(odd, 35);
  EXPECT_TRUE(std::equal(odd_call.begin(), odd_call.begin() + 19, long_call.begin()));
  EXPECT_NE(odd_call[19], long_call[19]);
}

TEST(PhiloxGenerator, SeedsBy64BitsAndNumbersValuesByPlace) {
  PhiloxGenerator low(5), high((uint64_t{1} << 32) + 5), longer(5);
  const std::vector<float> values = draw(low, 20), more = draw(longer, 50);
  EXPECT_NE(draw(high, 20), values);
  EXPECT_TRUE(std::equal(values.begin(), values.end(), more.begin()));
}

TEST(BoxMuller, HasTheSameBitsOnEveryProcessor) {
  constexpr uint32_t kUniform = 1U << 24;  // different values of torch's uniform numbers
  std::vector<float> values;
  for (uint32_t i = 0; i < 1U << 18; ++i) {  // an odd stride visits them evenly, 0 first
    values.push_back(static_cast<float>(i * 2654435761U % kUniform) / kUniform);
  }
  std::fill_n(values.begin() + 16, 16, 1 - 1.0F / kUniform);
  std::vector<float> portable = values;
  box_muller(values);
  box_muller_portable(portable);
  EXPECT_EQ(std::memcmp(values.data(), portable.data(), values.size() * sizeof(float)), 0);
  EXPECT_FALSE(std::signbit(values[0]));  // a radius of 0
  EXPECT_EQ(values[0], 0);
  for (const float value : values) ASSERT_LT(std::abs(value), 5.8F);  // sqrt(-2 log 2^-24)
}

}  // namespace
}  // namespace safelight
