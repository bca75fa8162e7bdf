#include "diffusion/sigma_schedule.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
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

bool has(std::initializer_list<Spacing> list, Spacing spacing) {
  return std::find(list.begin(), list.end(), spacing) != list.end();
}

TEST(SigmaSchedule, FallsWithinTheModelsLevels) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const Spacing spacing : choices()) {
    for (const int64_t steps : {1, 2, 3, 7, 20, 150, 1000}) {
      SCOPED_TRACE(fmt::format("{} in {} steps", info(spacing).name, steps));
      const std::vector<float> levels = sigmas(spacing, steps, schedule);
      ASSERT_GE(levels.size(), 2U);
      if (spacing == Spacing::kKlOptimal) {
        EXPECT_NEAR(levels.back(), schedule.sigma_min(), 1e-6);
      } else {
        EXPECT_EQ(levels.back(), 0);
      }
      // "Align Your Steps" has the levels of its tables; other models' curves end in 0.
      EXPECT_LE(levels.front(), schedule.sigma_max() * (1 + 5e-5F));
      if (!has({Spacing::kLinearQuadratic, Spacing::kBongTangent}, spacing)) {
        EXPECT_GE(levels[levels.size() - 2], schedule.sigma_min() * (1 - 6e-3F));
      }
      for (size_t i = 0; i + 1 < levels.size(); ++i) EXPECT_GT(levels[i], levels[i + 1]) << i;
      if (!has({Spacing::kDdim, Spacing::kSdTurbo}, spacing)) {
        EXPECT_EQ(levels.size(), static_cast<size_t>(steps) + 1);
      }
    }
  }
  EXPECT_EQ(sigmas(Spacing::kSdTurbo, 4, schedule).size(), 5U);
  EXPECT_EQ(sigmas(Spacing::kSdTurbo, 1000, schedule).size(), 11U);
}

TEST(SigmaSchedule, OneStepBeginsAtTheTop) {
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const Spacing spacing : choices()) {
    if (spacing == Spacing::kDdim) continue;  // counts from the bottom
    EXPECT_NEAR(sigmas(spacing, 1, schedule)[0], schedule.sigma_max(), 1e-3) << info(spacing).name;
  }
}

TEST(SigmaSchedule, OtherEndsAndOtherTables) {
  const SigmaOptions options{.sigma_min = 0.1, .sigma_max = 10};
  const NoiseSchedule schedule = NoiseSchedule::sd1();
  for (const Spacing spacing : {Spacing::kKarras, Spacing::kExponential, Spacing::kPolyexponential,
                                Spacing::kNormal, Spacing::kBeta, Spacing::kKlOptimal}) {
    const std::vector<float> levels = sigmas(spacing, 10, schedule, options);
    EXPECT_NEAR(levels.front(), 10, 1e-4) << info(spacing).name;
    EXPECT_NEAR(levels[spacing == Spacing::kKlOptimal ? 10 : 9], 0.1, 1e-5) << info(spacing).name;
  }
  // The table's own and Playground v2.5's range: nothing is taken to be SD 1.x's.
  for (const NoiseSchedule& other :
       {NoiseSchedule::edm({}), NoiseSchedule::sd1(Prediction::kV).zero_terminal_snr()}) {
    for (const Spacing spacing : choices()) {
      if (has({Spacing::kAlignYourSteps}, spacing)) continue;
      for (const int64_t steps : {2, 3, 20}) {
        const std::vector<float> levels = sigmas(spacing, steps, other);
        for (size_t i = 0; i + 1 < levels.size(); ++i)
          EXPECT_GT(levels[i], levels[i + 1]) << info(spacing).name;
        if (spacing != Spacing::kDdim) {
          EXPECT_GE(levels.front(), other.sigma_max() * 0.3F) << info(spacing).name;
        }
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
  EXPECT_EQ(identifiers.size(), 17U);
  EXPECT_EQ(*find_spacing("ddim_uniform"), Spacing::kDdim);
  EXPECT_EQ(*find_spacing("AYS"), Spacing::kAlignYourSteps);
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
