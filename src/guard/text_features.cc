// The twin of tools/train/guard/features.py; tests/unit/guard holds the two together.
#include "guard/text_features.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

namespace safelight::guard {
namespace {

constexpr uint32_t kWordSalt = 0, kPieceSalt = 0x9E3779B9;
constexpr size_t kLongestWords = 3, kShortestPiece = 2, kLongestPiece = 5;
constexpr float kFormScale = 0.5F, kHarshScale = 0.2F;
constexpr std::array<size_t, 9> kLengths = {6, 8, 10, 13, 17, 22, 30, 50, 100};

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0xEDB88320U : 0U);
    table[i] = value;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

uint32_t crc_step(uint32_t state, char byte) {
  return kCrcTable[(state ^ static_cast<uint8_t>(byte)) & 0xFF] ^ (state >> 8);
}

uint32_t crc_steps(uint32_t state, std::string_view data) {
  for (const char byte : data) state = crc_step(state, byte);
  return state;
}

/// Knuth's multiplicative hash; `state` is a CRC before its last inversion.
uint32_t bucket(uint32_t state, uint32_t salt) {
  return ((~state ^ salt) * 2654435761U) >> (32 - kHashBits);
}

SparseFeatures scaled(std::vector<uint32_t> buckets) {
  std::sort(buckets.begin(), buckets.end());
  SparseFeatures features;
  features.reserve(buckets.size());
  double squares = 0;
  for (size_t i = 0; i < buckets.size();) {
    size_t end = i + 1;
    while (end < buckets.size() && buckets[end] == buckets[i]) ++end;
    const float value = end - i == 1 ? 1.0F : 1.0F + std::log(static_cast<float>(end - i));
    features.emplace_back(buckets[i], value);
    squares += double{value} * value;
    i = end;
  }
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (auto& [_, value] : features) value *= scale;
  return features;
}

/// The pieces of one word between blanks.
void add_pieces(std::vector<uint32_t>& buckets, std::string_view padded) {
  for (size_t i = 0; i + kShortestPiece <= padded.size(); ++i) {
    uint32_t state = ~0U;
    const size_t longest = std::min(kLongestPiece, padded.size() - i);
    for (size_t n = 1; n <= longest; ++n) {
      state = crc_step(state, padded[i + n - 1]);
      if (n >= kShortestPiece) buckets.push_back(bucket(state, kPieceSalt));
    }
  }
}

}  // namespace

uint32_t crc32(std::string_view data) { return ~crc_steps(~0U, data); }

SparseFeatures word_features(const std::vector<std::string_view>& words) {
  std::vector<uint32_t> buckets;
  buckets.reserve(kLongestWords * words.size());
  for (size_t i = 0; i < words.size(); ++i) {
    uint32_t state = ~0U;
    for (size_t n = 0; n < kLongestWords && i + n < words.size(); ++n) {
      if (n > 0) state = crc_step(state, ' ');
      state = crc_steps(state, words[i + n]);
      buckets.push_back(bucket(state, kWordSalt));
    }
  }
  return scaled(std::move(buckets));
}

SparseFeatures piece_features(std::string_view folded) {
  // With a blank before and behind, each word's own blanks are those of the text.
  const std::string text = " " + std::string(folded) + " ";
  std::vector<uint32_t> buckets;
  buckets.reserve(text.size() * (kLongestPiece - kShortestPiece + 1));
  for (size_t start = 0; start + 1 < text.size();) {
    const size_t end = text.find(' ', start + 1);
    add_pieces(buckets, std::string_view(text).substr(start, end - start + 1));
    start = end;
  }
  return scaled(std::move(buckets));
}

std::array<float, kForms> form_features(const std::vector<std::string_view>& words) {
  std::array<float, kForms> form{};
  const float asks = !words.empty() && words.back() == "?" ? 1.0F : 0.0F;
  for (size_t i = 0; i < kLengths.size(); ++i) {
    form[i] = words.size() < kLengths[i] ? kFormScale : 0.0F;
    form[kLengths.size() + 1 + i] = asks * form[i];
  }
  form[kLengths.size()] = asks * kFormScale;
  return form;
}

std::array<float, kHarsh> harsh_features(std::vector<float> weights) {
  const auto words = static_cast<float>(std::max<size_t>(weights.size(), 1));
  const float all = std::accumulate(weights.begin(), weights.end(), 0.0F);
  for (float& weight : weights) weight = std::max(weight, 0.0F);
  const float rough = std::accumulate(weights.begin(), weights.end(), 0.0F);
  const size_t top = std::min<size_t>(3, weights.size());
  std::partial_sort(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(top),
                    weights.end(), std::greater<>());
  const float highest = top > 0 ? weights.front() : 0.0F;
  const float sum =
      std::accumulate(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(top), 0.0F);
  const float root = std::sqrt(words);
  return {sum * kHarshScale, highest * kHarshScale, rough / root * kHarshScale,
          all / root * kHarshScale};
}

}  // namespace safelight::guard
