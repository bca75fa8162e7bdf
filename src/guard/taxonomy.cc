#include "guard/taxonomy.h"

#include <algorithm>

namespace safelight::guard {

const std::array<Hazard, kHazards>& hazards() {
  static constexpr std::array<Hazard, kHazards> kTable{{
      {"S1", "Violent Crimes", "violence to people or animals"},
      {"S2", "Non-Violent Crimes", "fraud, theft, drugs, weapons without licence, cyber crime"},
      {"S3", "Sex-Related Crimes", "trafficking, assault, harassment, prostitution"},
      {"S4", "Child Sexual Exploitation", "sexual abuse of children"},
      {"S5", "Defamation", "false claims that injure a living person's reputation"},
      {"S6", "Specialized Advice", "financial, medical or legal advice; dangerous things as safe"},
      {"S7", "Privacy", "sensitive personal data of others"},
      {"S8", "Intellectual Property", "violations of others' intellectual property"},
      {"S9", "Indiscriminate Weapons", "chemical, biological, radiological, nuclear, explosives"},
      {"S10", "Hate", "demeaning people for what they are"},
      {"S11", "Suicide & Self-Harm", "suicide, self-injury, disordered eating"},
      {"S12", "Sexual Content", "erotica"},
      {"S13", "Elections", "false information on how elections work"},
      {"S14", "Code Interpreter Abuse", "denial of service, escapes, privilege escalation"},
  }};
  return kTable;
}

std::optional<size_t> find_hazard(std::string_view code) {
  const auto& table = hazards();
  const auto* found =
      std::find_if(table.begin(), table.end(), [&](const Hazard& h) { return h.code == code; });
  if (found == table.end()) return std::nullopt;
  return static_cast<size_t>(found - table.begin());
}

const std::array<OpenAiCategory, kOpenAiCategories>& openai_categories() {
  constexpr size_t kViolence = 0, kCrime = 1, kChildren = 3, kWeapons = 8, kHate = 9,
                   kSelfHarm = 10, kSexual = 11;
  static const std::array<OpenAiCategory, kOpenAiCategories> kTable{{
      {"harassment", {}},
      {"harassment/threatening", {}},
      {"hate", {kHate}},
      {"hate/threatening", {}},
      {"illicit", {kCrime, kWeapons}},
      {"illicit/violent", {kViolence, kWeapons}},
      {"self-harm", {kSelfHarm}},
      {"self-harm/intent", {}},
      {"self-harm/instructions", {}},
      {"sexual", {kSexual}},
      {"sexual/minors", {kChildren}},
      {"violence", {kViolence}},
      {"violence/graphic", {}},
  }};
  return kTable;
}

std::optional<float> openai_score(const OpenAiCategory& category,
                                  const std::array<std::optional<float>, kHazards>& scores) {
  std::optional<float> highest;
  for (const size_t hazard : category.hazards) {
    if (scores[hazard]) highest = std::max(highest.value_or(0), *scores[hazard]);
  }
  return highest;
}

}  // namespace safelight::guard
