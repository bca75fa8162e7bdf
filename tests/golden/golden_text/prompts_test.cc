// Weighted parts, chunks and emphasis against SD WebUI's own functions
// (tools/reference/record_prompts.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "text/chunks.h"
#include "text/emphasis.h"
#include "text/prompt.h"

namespace safelight::text {

std::ostream& operator<<(std::ostream& out, const PromptPart& part) {
  return out << (part.is_break ? "BREAK" : "'" + part.text + "' x " + std::to_string(part.weight));
}

namespace {

namespace json = boost::json;

json::value recorded() {
  return parse_json(
             *read_file(std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/text/prompts.json"))
      .value();
}

TEST(Prompt, EqualsSdWebui) {
  const json::value record = recorded();
  ASSERT_GE(record.at("prompts").as_array().size(), 300U);
  for (const json::value& prompt : record.at("prompts").as_array()) {
    std::vector<PromptPart> want;
    for (const json::value& part : prompt.at("parts").as_array()) {
      if (part.is_null()) {
        want.push_back({.text = "", .weight = 1, .is_break = true});
      } else {
        want.push_back({.text = std::string(part.at(0).as_string()),
                        .weight = part.at(1).to_number<double>()});
      }
    }
    const std::string_view text = prompt.at("text").as_string();
    EXPECT_EQ(parse_prompt(text), want) << text;
  }
}

/// A recorded chunk, filled as record_prompts.py says.
TokenChunk chunk(const json::value& record) {
  TokenChunk chunk;
  std::ranges::copy(json::value_to<std::vector<int32_t>>(record.at("tokens")),
                    chunk.tokens.begin() + 1);
  std::ranges::transform(json::value_to<std::vector<double>>(record.at("weights")),
                         chunk.weights.begin() + 1,
                         [](double weight) { return static_cast<float>(weight); });
  return chunk;
}

TEST(Chunks, EqualSdWebui) {
  const json::value record = recorded();
  ASSERT_GE(record.at("chunks").as_array().size(), 200U);
  for (const json::value& want : record.at("chunks").as_array()) {
    const std::string_view text = want.at("text").as_string();
    const auto backtrack = want.at("comma_backtrack").to_number<size_t>();
    SCOPED_TRACE(std::string(text) + ", back-track " + std::to_string(backtrack));
    const ChunkedPrompt got = chunk_prompt(ClipTokenizer::instance(), parse_prompt(text), {},
                                           {.comma_backtrack = backtrack});
    EXPECT_EQ(got.token_count, want.at("count").to_number<size_t>());
    const json::array& chunks = want.at("chunks").as_array();
    ASSERT_EQ(got.chunks.size(), chunks.size());
    for (size_t i = 0; i < chunks.size(); ++i) {
      EXPECT_EQ(got.chunks[i].tokens, chunk(chunks[i]).tokens) << "chunk " << i;
      EXPECT_EQ(got.chunks[i].weights, chunk(chunks[i]).weights) << "chunk " << i;
    }
  }
}

TEST(Emphasis, EqualsSdWebui) {
  constexpr double kLimit = 1e-12;
  const json::value record = recorded();
  ASSERT_FALSE(record.at("emphasis").as_array().empty());
  for (const json::value& want : record.at("emphasis").as_array()) {
    const auto tensor = [&](std::string_view name) {
      return Tensor(json::value_to<std::vector<int64_t>>(want.at("shape")),
                    json::value_to<std::vector<float>>(want.at(name)));
    };
    const auto weights = json::value_to<std::vector<float>>(want.at("weights"));
    for (const auto& [name, emphasis] :
         {std::pair("Original", Emphasis::kOriginal), std::pair("No norm", Emphasis::kNoNorm),
          std::pair("Ignore", Emphasis::kIgnore)}) {
      Tensor got = tensor("encoded");
      emphasise(got, weights, emphasis);
      EXPECT_LE(nmse(got, tensor(name)), kLimit) << name << ", weights " << weights[1];
    }
  }
}

}  // namespace
}  // namespace safelight::text
