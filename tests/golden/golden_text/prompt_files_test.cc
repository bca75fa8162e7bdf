// Options and wildcards against the package dynamicprompts, styles against SD WebUI, weights
// against ComfyUI (tools/reference/record_dynamic_prompts.py, record_styles.py,
// record_comfyui_prompts.py).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "support/temporary_folder.h"
#include "text/dynamic_prompt.h"
#include "text/emphasis.h"
#include "text/prompt.h"
#include "text/styles.h"

namespace safelight::text {
namespace {

namespace json = boost::json;

json::value recorded(const std::string& name) {
  return parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/text/" +
                               name + ".json"))
      .value();
}

TEST(DynamicPrompt, MakesWhatDynamicPromptsMakes) {
  const json::value record = recorded("dynamic");
  const test::TemporaryFolder folder;
  for (const auto& [name, text] : record.at("files").as_object()) {
    ASSERT_TRUE(
        write_file_atomically(folder.path() / std::string(name), std::string_view(text.as_string()))
            .ok());
  }
  WildcardFiles files({folder.path()});
  constexpr uint64_t kSeeds = 3000;
  for (const json::value& each : record.at("prompts").as_array()) {
    const std::string_view prompt = each.at("prompt").as_string();
    std::set<std::string> want, got;
    for (const json::value& outcome : each.at("outcomes").as_array())
      want.emplace(std::string_view(outcome.as_string()));
    const uint64_t seeds = want.size() == 1 ? 1 : kSeeds;
    for (uint64_t seed = 0; seed < seeds; ++seed) {
      const auto expanded =
          expand_prompt(prompt, {.seed = seed, .stream = 0, .keeps_unknown = true}, files);
      ASSERT_TRUE(expanded.ok()) << prompt << ": " << expanded.error().message;
      got.insert(*expanded);
    }
    EXPECT_EQ(got, want) << prompt;
  }
}

TEST(Styles, EqualSdWebui) {
  const json::value record = recorded("styles");
  for (const json::value& file : record.at("files").as_array()) {
    const test::TemporaryFolder folder;
    const auto path = folder.path() / "styles.csv";
    ASSERT_TRUE(write_file_atomically(path, std::string_view(file.at("text").as_string())).ok());
    std::vector<Style> want;
    for (const json::value& style : file.at("styles").as_array()) {
      want.push_back({std::string(style.at(0).as_string()), std::string(style.at(1).as_string()),
                      std::string(style.at(2).as_string()), path});
    }
    EXPECT_EQ(StyleLibrary::read({path}).styles(), want) << file.at("name");
  }
  for (const json::value& merge : record.at("merges").as_array()) {
    EXPECT_EQ(merge_style(std::string_view(merge.at(0).as_string()),
                          std::string(merge.at(1).as_string())),
              std::string_view(merge.at(2).as_string()))
        << merge;
  }
}

TEST(ComfyuiPrompt, EqualsComfyui) {
  const json::value record = recorded("comfyui");
  ASSERT_GE(record.at("prompts").as_array().size(), 500U);
  for (const json::value& each : record.at("prompts").as_array()) {
    std::vector<PromptPart> want;
    for (const json::value& part : each.at("parts").as_array()) {
      want.push_back(
          {.text = std::string(part.at(0).as_string()), .weight = part.at(1).to_number<double>()});
    }
    if (want.empty()) want.emplace_back();
    const std::string_view text = each.at("text").as_string();
    const std::vector<PromptPart> got = parse_comfyui(text);
    EXPECT_EQ(got, want) << text;
  }
}

TEST(Emphasis, EqualsComfyui) {
  constexpr double kLimit = 1e-12;
  const json::value record = recorded("comfyui");
  for (const json::value& each : record.at("emphasis").as_array()) {
    const auto tensor = [&](std::string_view name) {
      return Tensor(json::value_to<std::vector<int64_t>>(each.at("shape")),
                    json::value_to<std::vector<float>>(each.at(name)));
    };
    Tensor got = tensor("encoded");
    emphasise(got, json::value_to<std::vector<float>>(each.at("weights")), Emphasis::kComfyui,
              tensor("empty"));
    EXPECT_LE(nmse(got, tensor("output")), kLimit) << each.at("weights");
  }
}

}  // namespace
}  // namespace safelight::text
