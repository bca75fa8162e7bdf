// CLIP's tokenizer against transformers' on 10,000 random Unicode strings
// (tools/reference/record_tokenizer.py).
#include "text/clip_tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "text/unicode.h"

namespace safelight::text {
namespace {

namespace json = boost::json;

constexpr uint64_t kCount = 10000;

class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t operator()(uint64_t limit) {
    state_ += 0x9E3779B97F4A7C15U;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (z ^ (z >> 31)) % limit;
  }

 private:
  uint64_t state_;
};

/// The rule of record_tokenizer.py.
std::string random_string(uint64_t index, const json::array& pieces) {
  SplitMix draw(index);
  std::string text;
  for (uint64_t n = 1 + draw(20); n > 0; --n) {
    const uint64_t kind = draw(10);
    if (kind < 6) {
      text += std::string_view(pieces[draw(pieces.size())].get_string());
    } else if (kind < 8) {
      append_utf8(text, static_cast<char32_t>(32 + draw(0x500)));
    } else {
      const auto code = static_cast<char32_t>(draw(0x110000 - 0x800));
      append_utf8(text, code < 0xD800 ? code : code + 0x800);
    }
    if (draw(2)) text += ' ';
  }
  return text;
}

std::string fnv(const std::vector<int32_t>& tokens) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const int32_t token : tokens) {
    for (const int32_t byte : {token & 255, token >> 8})
      value = (value ^ static_cast<uint64_t>(byte)) * 0x100000001B3U;
  }
  return fmt::format("{:016x}", value);
}

json::value recorded() {
  return parse_json(*read_file(std::string(SAFELIGHT_SOURCE_DIR) +
                               "/tests/golden/data/text/tokenizer.json"))
      .value();
}

TEST(ClipTokenizer, EqualsTransformersOnRandomUnicode) {
  const json::value record = recorded();
  const json::array& pieces = record.at("pieces").as_array();
  const json::object& full = record.at("tokens").as_object();
  const std::string_view hashes = record.at("hashes").as_string();
  ASSERT_EQ(hashes.size(), kCount * 16);
  const ClipTokenizer& tokenizer = ClipTokenizer::instance();
  int wrong = 0;
  for (uint64_t index = 0; index < kCount; ++index) {
    const std::string text = random_string(index, pieces);
    const std::vector<int32_t> tokens = tokenizer.encode(text);
    if (const json::value* want = full.if_contains(std::to_string(index))) {
      EXPECT_EQ(tokens, json::value_to<std::vector<int32_t>>(*want)) << text;
    }
    const bool equal = fnv(tokens) == hashes.substr(index * 16, 16);
    if (!equal && ++wrong <= 5) ADD_FAILURE() << "string " << index << ": " << text;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(ClipTokenizer, DecodesAsTransformers) {
  const json::value record = recorded();
  const json::object& decoded = record.at("decoded").as_object();
  ASSERT_EQ(decoded.size(), 200U);
  for (const auto& [index, text] : decoded) {
    const auto tokens = json::value_to<std::vector<int32_t>>(record.at("tokens").at(index));
    EXPECT_EQ(ClipTokenizer::instance().decode(tokens), text.as_string()) << "string " << index;
  }
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (; !hex.empty(); hex.remove_prefix(2))
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(0, 2)), nullptr, 16));
  return bytes;
}

TEST(ClipTokenizer, ReadsBrokenUtf8AsPythonReplacesIt) {
  const json::value record = recorded();
  const json::array& broken = record.at("broken").as_array();
  ASSERT_EQ(broken.size(), 300U);
  for (const json::value& each : broken) {
    const std::string_view hex = each.at(0).as_string();
    EXPECT_EQ(ClipTokenizer::instance().encode(from_hex(hex)),
              json::value_to<std::vector<int32_t>>(each.at(1)))
        << hex;
  }
}

}  // namespace
}  // namespace safelight::text
