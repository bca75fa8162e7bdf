#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
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
  /// "<|endoftext|>" give those marks, as transformers does. What is not UTF-8 counts as U+FFFD
  /// (decode_utf8). n log n in the text's length.
  std::vector<int32_t> encode(std::string_view text) const;

  /// The text that the tokens stand for, words apart by spaces; marks are left out. Bytes of a
  /// character that is not whole give U+FFFD.
  std::string decode(const std::vector<int32_t>& tokens) const;

 private:
  ClipTokenizer();
  void encode_plain(std::string_view text, std::vector<int32_t>& tokens) const;
  void encode_word(std::string_view bytes, std::vector<int32_t>& tokens) const;

  /// The rank of the merge of two tokens; kNoMerge where there is none.
  uint16_t find_merge(int32_t left, int32_t right) const;

  static constexpr uint16_t kNoMerge = 0xFFFF;
  static constexpr int kSlotBits = 17;
  std::array<int32_t, 256> byte_token_{};  ///< of a byte inside a word; + 256 for one that ends it
  std::vector<uint16_t> slots_;            ///< ranks by the hash of their pair, open addressing
};

}  // namespace safelight::text
