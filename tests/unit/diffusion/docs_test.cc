// docs/samplers.md says what the code's lists say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "diffusion/sampler.h"

namespace safelight::diffusion {
namespace {

std::string with_code_marks(std::string_view comma_separated) {
  std::string marked;
  while (!comma_separated.empty()) {
    const size_t end = std::min(comma_separated.find(','), comma_separated.size());
    marked += fmt::format("{}`{}`", marked.empty() ? "" : ", ", comma_separated.substr(0, end));
    comma_separated.remove_prefix(std::min(end + 1, comma_separated.size()));
  }
  return marked;
}

std::string row(const SamplerInfo& sampler) {
  const std::string_view automatic =
      sampler.automatic == Spacing::kAutomatic ? "its own" : info(sampler.automatic).name;
  const std::string_view noise = !sampler.stochastic ? ""
                                 : sampler.brownian  ? "Brownian"
                                                     : "each step";
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |", sampler.name,
                     with_code_marks(sampler.aliases), automatic,
                     sampler.uses_spacing ? "yes" : "ignored", noise, sampler.evaluations,
                     sampler.discards_penultimate ? "yes" : "", sampler.reference);
}

TEST(Documentation, ListsEverySamplerAndSchedule) {
  const std::string page = *read_file(std::string(SAFELIGHT_SOURCE_DIR) + "/docs/samplers.md");
  for (const SamplerInfo& sampler : samplers())
    EXPECT_NE(page.find(row(sampler)), std::string::npos) << row(sampler);
  for (const SpacingInfo& spacing : spacings()) {
    const std::string start = fmt::format("| {} | `{}` |", spacing.name, spacing.identifier);
    EXPECT_NE(page.find(start), std::string::npos) << start;
  }
}

}  // namespace
}  // namespace safelight::diffusion
