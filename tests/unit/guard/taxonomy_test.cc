#include "guard/taxonomy.h"

#include <gtest/gtest.h>

#include <string>

namespace safelight::guard {
namespace {

TEST(Taxonomy, CodesAreInOrder) {
  for (size_t i = 0; i < kHazards; ++i) {
    EXPECT_EQ(hazards()[i].code, "S" + std::to_string(i + 1));
    EXPECT_EQ(find_hazard(hazards()[i].code), i);
  }
  EXPECT_EQ(find_hazard("S0"), std::nullopt);
  EXPECT_EQ(find_hazard("S15"), std::nullopt);
  EXPECT_EQ(find_hazard("s1"), std::nullopt);
}

TEST(Taxonomy, OpenAiScoresAreTheHighestOfTheirHazards) {
  std::array<std::optional<float>, kHazards> scores;
  scores[1] = 0.25F;
  scores[8] = 0.5F;
  scores[9] = 0.75F;
  for (const OpenAiCategory& category : openai_categories()) {
    const std::optional<float> score = openai_score(category, scores);
    if (category.name == "hate") {
      EXPECT_EQ(score, 0.75F);
    } else if (category.name == "illicit" || category.name == "illicit/violent") {
      EXPECT_EQ(score, 0.5F) << category.name;
    } else {
      EXPECT_EQ(score, std::nullopt) << category.name << " was not checked: that is not 0";
    }
  }
}

TEST(Taxonomy, HarassmentHasNoHazard) {
  std::array<std::optional<float>, kHazards> all;
  all.fill(1.0F);
  size_t scored = 0;
  for (const OpenAiCategory& category : openai_categories()) {
    const bool known = openai_score(category, all).has_value();
    scored += known ? 1 : 0;
    EXPECT_FALSE(known && category.name.starts_with("harassment")) << category.name;
  }
  EXPECT_EQ(scored, 7U);
}

}  // namespace
}  // namespace safelight::guard
