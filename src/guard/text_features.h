#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace safelight::guard {

/// CRC-32 (ISO-HDLC, as in zlib): what words are known by in the classifier's file.
uint32_t crc32(std::string_view data);

/// Hashed features: pairs of bucket and value, each bucket once; the values' squares sum to 1.
using SparseFeatures = std::vector<std::pair<uint32_t, float>>;

constexpr uint32_t kHashBits = 17;
constexpr uint32_t kBuckets = uint32_t{1} << kHashBits;

/// One to three words in a row. The value is 1 + log(count) before scaling.
SparseFeatures word_features(const std::vector<std::string_view>& words);
/// Two to five bytes in a row within a word of the folded text and the blanks around it.
SparseFeatures piece_features(std::string_view folded);

/// How long a text is and whether it asks.
constexpr size_t kForms = 19;
std::array<float, kForms> form_features(const std::vector<std::string_view>& words);

/// Four numbers from the words' weights (0 for unknown words), an own measure of rough language:
/// the sum of the three highest, the highest, the sum of the positive ones and the sum of all, both
/// over the root of the number of words.
constexpr size_t kHarsh = 4;
std::array<float, kHarsh> harsh_features(std::vector<float> weights);

}  // namespace safelight::guard
