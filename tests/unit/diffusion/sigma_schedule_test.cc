#include "diffusion/sigma_schedule.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "diffusion/lcm_schedule.h"

namespace safelight::diffusion {
namespace {

std::vector<Spacing> choices() {
  std::vector<Spacing> all;
  for (const SpacingInfo& entry : spacings()) {
    if (entry.spacing != Spacing::kAutomatic) all.push_back(entry.spacing);
  }
  return all;
}

TEST(SigmaSchedule, FallsWithinTheModelsLevelsAndEndsInZero) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const Spacing spacing : choices()) {
    for (const int64_t steps : {1, 2, 3, 7, 20, 150, 1000}) {
      SCOPED_TRACE(fmt::format("{} in {} steps", info(spacing).name, steps));
      const std::vector<float> levels = sigmas(spacing, steps, schedule);
      ASSERT_GE(levels.size(), 2U);
      EXPECT_EQ(levels.back(), 0);
      EXPECT_LE(levels.front(), schedule.sigma_max() * (1 + 1e-5F));
      EXPECT_GE(levels[levels.size() - 2], schedule.sigma_min() * (1 - 1e-5F));
      for (size_t i = 0; i + 1 < levels.size(); ++i) EXPECT_GT(levels[i], levels[i + 1]) << i;
      if (spacing != Spacing::kDdim) {
        EXPECT_EQ(levels.size(), static_cast<size_t>(steps) + 1);
      }
    }
  }
}

TEST(SigmaSchedule, ReachesTheModelsEnds) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const Spacing spacing : {Spacing::kUniform, Spacing::kKarras, Spacing::kExponential,
                                Spacing::kNormal, Spacing::kBeta}) {
    const std::vector<float> levels = sigmas(spacing, 10, schedule);
    EXPECT_NEAR(levels.front(), schedule.sigma_max(), 1e-4) << info(spacing).name;
    EXPECT_NEAR(levels[9], schedule.sigma_min(), 1e-6) << info(spacing).name;
  }
  EXPECT_GT(sigmas(Spacing::kSgmUniform, 10, schedule)[9], 3 * schedule.sigma_min());
}

TEST(SigmaSchedule, KarrasIsEvenInTheSeventhRoot) {
  const std::vector<float> levels = sigmas(Spacing::kKarras, 5, NoiseSchedule::sd1());
  const auto root = [&](size_t i) { return std::pow(static_cast<double>(levels[i]), 1.0 / 7); };
  for (size_t i = 1; i < 4; ++i) EXPECT_NEAR(root(i - 1) - root(i), root(i) - root(i + 1), 1e-6);
}

TEST(SigmaSchedule, DdimCountsInWholeStrides) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  const std::vector<float> levels = sigmas(Spacing::kDdim, 3, schedule);  // 1000 / 3 = 333
  ASSERT_EQ(levels.size(), 4U);
  EXPECT_EQ(levels[0], schedule.sigmas()[667]);
  EXPECT_EQ(levels[1], schedule.sigmas()[334]);
  EXPECT_EQ(levels[2], schedule.sigmas()[1]);
  EXPECT_EQ(sigmas(Spacing::kDdim, 15, schedule).size(), 17U);  // 16 strides of 66
}

TEST(SigmaSchedule, RefusesAutomatic) {
  EXPECT_THROW(sigmas(Spacing::kAutomatic, 20, NoiseSchedule::sd1()), std::invalid_argument);
}

TEST(SigmaSchedule, LcmHasFiftyLevels) {
  const NoiseSchedule schedule = NoiseSchedule::sd1(), table = lcm_table(schedule);
  EXPECT_EQ(table.size(), 50);
  EXPECT_EQ(table.sigma_max(), schedule.sigmas()[999]);
  EXPECT_EQ(table.sigma_min(), schedule.sigmas()[19]);
  EXPECT_EQ(lcm_timestep(schedule.sigmas()[999], table, 1000), 999);
  EXPECT_EQ(lcm_timestep(schedule.sigmas()[41], table, 1000), 39);
  EXPECT_EQ(lcm_timestep(1e-6, table, 1000), 19);
}

TEST(FindSpacing, ByNameAndIdentifierInAnyCase) {
  std::set<std::string_view> identifiers;
  for (const SpacingInfo& entry : spacings()) {
    EXPECT_EQ(*find_spacing(entry.name), entry.spacing);
    EXPECT_EQ(*find_spacing(entry.identifier), entry.spacing);
    EXPECT_EQ(&info(entry.spacing), &entry);
    EXPECT_FALSE(entry.description.empty());
    identifiers.insert(entry.identifier);
  }
  EXPECT_EQ(identifiers.size(), 9U);
  EXPECT_EQ(*find_spacing("KARRAS"), Spacing::kKarras);
  EXPECT_EQ(*find_spacing(" sgm uniform "), Spacing::kSgmUniform);
  EXPECT_EQ(*find_spacing(""), Spacing::kAutomatic);
}

TEST(FindSpacing, NamesTheNearestOfAnUnknownOne) {
  const auto karas = find_spacing("Karas");
  ASSERT_FALSE(karas.ok());
  EXPECT_EQ(karas.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(karas.error().message, "schedule 'Karas' is unknown; did you mean 'Karras'?");
  EXPECT_EQ(find_spacing("q").error().message,
            "schedule 'q' is unknown; 'safelight samplers' lists them");
}

}  // namespace
}  // namespace safelight::diffusion
