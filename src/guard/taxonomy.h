#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace safelight::guard {

/// The hazards of the MLCommons taxonomy that Llama Guard speaks: S1 to S14 are 0 to 13.
constexpr size_t kHazards = 14;

struct Hazard {
  std::string_view code;  ///< "S1"
  std::string_view name;  ///< "Violent Crimes"
  std::string_view gist;  ///< what it covers, for people
};

/// In order of their codes.
const std::array<Hazard, kHazards>& hazards();
/// The index of a code ("S12"), or nothing.
std::optional<size_t> find_hazard(std::string_view code);

/// OpenAI's 13 moderation categories.
constexpr size_t kOpenAiCategories = 13;

struct OpenAiCategory {
  std::string_view name;        ///< "self-harm/intent"
  std::vector<size_t> hazards;  ///< whose highest score it gets; empty: no hazard is like it
};

/// In OpenAI's order. `harassment` and `harassment/threatening` have no hazard: a detector that
/// judges them says so itself, else they are "not checked", never 0.
const std::array<OpenAiCategory, kOpenAiCategories>& openai_categories();

/// The score of an OpenAI category: the highest of its hazards that were checked; nothing when none
/// was.
std::optional<float> openai_score(const OpenAiCategory& category,
                                  const std::array<std::optional<float>, kHazards>& scores);

}  // namespace safelight::guard
