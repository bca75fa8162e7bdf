#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace safelight::text {

/// CLIP's byte-pair tokenizer (Radford et al. 2021), equal to transformers' CLIPTokenizer on any
/// text: NFC, lower case, words, byte pairs by rank. 49,408 tokens.
class ClipTokenizer {
 public:
  static constexpr int32_t kBegin = 49406, kEnd = 49407;

  /// The one tokenizer; its tables are made on first use. Safe from any thread.
  static const ClipTokenizer& instance();

  /// The tokens of a UTF-8 text without begin and end marks. The texts "<|startoftext|>" and
  /// "<|endoftext|>" give those marks, as transformers does. Bytes that are not UTF-8 count as
  /// U+FFFD.
  std::vector<int32_t> encode(std::string_view text) const;

  /// The text that the tokens stand for, words apart by spaces; marks are left out.
  std::string decode(const std::vector<int32_t>& tokens) const;

 private:
  ClipTokenizer();
  void encode_plain(std::string_view text, std::vector<int32_t>& tokens) const;
  void encode_word(std::string_view bytes, std::vector<int32_t>& tokens) const;

  struct Merge {
    int32_t rank, result;
  };
  std::array<int32_t, 256> byte_token_{};  ///< of a byte inside a word; + 256 for one that ends it
  std::unordered_map<uint64_t, Merge> merges_;      ///< by left token << 32 | right token
  std::vector<std::pair<int32_t, int32_t>> pairs_;  ///< what each merged token is made of
};

}  // namespace safelight::text
