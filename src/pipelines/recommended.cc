#include "pipelines/recommended.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

#include "base/text.h"

namespace safelight::pipelines {
namespace {

/// The runs that their authors publish: Luo et al. 2023; Lin et al. 2024 (SDXL-Lightning); Ren et
/// al. 2024 (Hyper-SD); Sauer et al. 2023 (Turbo); Li et al. 2024 (Playground v2.5).
const std::array kDistilled = {
    Recommended{"LCM", 8, 1, "LCM", "SGM Uniform"},
    Recommended{"Lightning", 4, 1, "Euler", "SGM Uniform"},
    Recommended{"Hyper", 8, 1, "Euler", "SGM Uniform"},
    Recommended{"Turbo", 4, 1, "Euler a", std::nullopt},
};
const Recommended kPlayground{"Playground v2.5", std::nullopt, 3, std::nullopt, std::nullopt};

constexpr int64_t kMostSteps = 64;  // that a distilled checkpoint's name can mean

/// Runs of letters and runs of digits, in lower case; a capital begins another.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  const auto kind = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::isdigit(byte) != 0 ? 1 : std::isalpha(byte) != 0 ? 2 : 0;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (kind(text[i]) == 0) continue;
    const bool camel = i > 0 && std::isupper(static_cast<unsigned char>(text[i])) != 0 &&
                       std::islower(static_cast<unsigned char>(text[i - 1])) != 0;
    if (i == 0 || kind(text[i]) != kind(text[i - 1]) || camel) words.emplace_back();
    words.back() += ascii_lower(text.substr(i, 1));
  }
  return words;
}

/// Whether a word says it: itself, with SD behind it ("hypersd"), or, but for "hyper", another
/// before it ("sdxlturbo"). "hyperRealistic" was not distilled.
bool is_word(const std::vector<std::string>& words, size_t i, std::string_view wanted) {
  const std::string_view word = words[i];
  if (wanted != "hyper") return word.ends_with(wanted);
  const bool real = i + 1 < words.size() && words[i + 1].starts_with("real");
  return (word == "hyper" && !real) || word == "hypersd" || word == "hypersdxl";
}

/// The number before a word "step" or "steps".
std::optional<int64_t> steps_of(const std::vector<std::string>& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "step" && words[i] != "steps") continue;
    const std::string& number = words[i - 1];
    int64_t steps = 0;
    const auto [end, failure] =
        std::from_chars(number.data(), number.data() + number.size(), steps);
    if (failure == std::errc() && steps >= 1 && steps <= kMostSteps) return steps;
  }
  return std::nullopt;
}

std::optional<Recommended> of_text(std::string_view text) {
  const std::vector<std::string> words = words_of(text);
  for (const Recommended& distilled : kDistilled) {
    const std::string wanted = ascii_lower(distilled.reason);
    for (size_t i = 0; i < words.size(); ++i) {
      if (!is_word(words, i, wanted)) continue;
      Recommended found = distilled;
      if (const auto steps = steps_of(words)) found.steps = steps;
      return found;
    }
  }
  const std::string lower = ascii_lower(text);
  const bool playground = lower.find("playground-v2.5") != std::string::npos ||
                          lower.find("playground_v2.5") != std::string::npos;
  return playground ? std::optional(kPlayground) : std::nullopt;
}

}  // namespace

Recommended recommended(const weights::TensorIndex& index, const std::filesystem::path& path) {
  if (auto found = of_text(path.stem().string())) return *found;
  for (const std::string_view key : {"modelspec.title", "modelspec.architecture"}) {
    const auto text = index.metadata.find(key);
    if (text == index.metadata.end()) continue;
    if (auto found = of_text(text->second)) return *found;
  }
  return {};
}

std::string use_recommended(request::Request& request, const Recommended& recommended) {
  std::vector<std::string> used;
  const auto use = [&](std::string_view key, auto& field, const auto& value, auto told) {
    if (!value || request::said(request, key)) return;
    field = *value;
    request::set_said(request, key);
    used.push_back(told());
  };
  use("steps", request.steps, recommended.steps,
      [&] { return fmt::format("{} step{}", request.steps, request.steps == 1 ? "" : "s"); });
  use("cfg_scale", request.cfg_scale, recommended.cfg_scale,
      [&] { return fmt::format("CFG scale {}", request.cfg_scale); });
  // A schedule belongs to the sampler that it is recommended with.
  const bool own_sampler = request::said(request, "sampler");
  use("sampler", request.sampler, recommended.sampler, [&] { return request.sampler; });
  if (!own_sampler)
    use("schedule", request.schedule, recommended.schedule, [&] { return request.schedule; });
  return fmt::format("{}", fmt::join(used, ", "));
}

}  // namespace safelight::pipelines
