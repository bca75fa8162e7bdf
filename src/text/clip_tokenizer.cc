#include "text/clip_tokenizer.h"

#include <algorithm>
#include <queue>

#include "text/clip_merges.h"
#include "text/unicode.h"

namespace safelight::text {
namespace {

constexpr int32_t kFirstMerged = 512;  // behind the bytes, plain and ending a word
constexpr std::string_view kMarkOpening = "<|", kBeginMark = "<|startoftext|>",
                           kEndMark = "<|endoftext|>";
constexpr std::u32string_view kLoweredMarks[] = {U"<|startoftext|>", U"<|endoftext|>"};

/// The bytes in the order of their tokens: printable ones first (GPT-2's bytes_to_unicode).
std::array<uint8_t, 256> bytes_in_order() {
  std::array<uint8_t, 256> order{};
  const auto printable = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  size_t next = 0;
  for (const bool wanted : {true, false}) {
    for (int b = 0; b < 256; ++b) {
      if (printable(b) == wanted) order[next++] = static_cast<uint8_t>(b);
    }
  }
  return order;
}

/// The first slot to look for a pair of tokens in (multiplicative hashing).
size_t first_slot(uint32_t left, uint32_t right, int bits) {
  return (left << 16 | right) * 0x9E3779B1U >> (32 - bits);
}

/// The length of an English contraction ('s, 't, 're, 've, 'm, 'll, 'd) at the front of the text; 0
/// for none.
size_t contraction(std::u32string_view text) {
  for (const std::u32string_view each : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"}) {
    if (text.starts_with(each)) return each.size();
  }
  return 0;
}

/// Where the pieces end of a mark at the front of lowered text; empty for none. Written in capitals
/// it is no mark but three words: "<|", its name and "|>".
std::vector<size_t> mark_pieces(std::u32string_view text) {
  for (const std::u32string_view mark : kLoweredMarks) {
    if (text.starts_with(mark)) return {2, mark.size() - 2, mark.size()};
  }
  return {};
}

/// The length of the word at the front: a contraction, a run of letters, one digit, or a run of
/// other characters.
size_t word_length(std::u32string_view text) {
  if (const size_t length = contraction(text)) return length;
  const CodeClass first = classify(text[0]);
  size_t length = 1;
  if (first == CodeClass::kNumber || first == CodeClass::kSpace) return length;
  while (length < text.size() && classify(text[length]) == first) ++length;
  return length;
}

}  // namespace

const ClipTokenizer& ClipTokenizer::instance() {
  static const ClipTokenizer kTokenizer;
  return kTokenizer;
}

ClipTokenizer::ClipTokenizer() {
  const std::array<uint8_t, 256> order = bytes_in_order();
  for (size_t i = 0; i < order.size(); ++i) byte_token_[order[i]] = static_cast<int32_t>(i);
  slots_.assign(size_t{1} << kSlotBits, kNoMerge);
  for (size_t rank = 0; rank < kClipMerges.size(); ++rank) {
    size_t slot = first_slot(kClipMerges[rank].left, kClipMerges[rank].right, kSlotBits);
    while (slots_[slot] != kNoMerge) slot = (slot + 1) % slots_.size();
    slots_[slot] = static_cast<uint16_t>(rank);
  }
}

uint16_t ClipTokenizer::find_merge(int32_t left, int32_t right) const {
  size_t slot = first_slot(static_cast<uint32_t>(left), static_cast<uint32_t>(right), kSlotBits);
  for (; slots_[slot] != kNoMerge; slot = (slot + 1) % slots_.size()) {
    const ClipMerge& merge = kClipMerges[slots_[slot]];
    if (merge.left == left && merge.right == right) break;
  }
  return slots_[slot];
}

std::vector<int32_t> ClipTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  size_t begin = 0, at = 0;
  while ((at = text.find(kMarkOpening, at)) != std::string_view::npos) {
    const std::string_view rest = text.substr(at);
    const bool is_begin = rest.starts_with(kBeginMark), is_end = rest.starts_with(kEndMark);
    if (!is_begin && !is_end) {
      at += kMarkOpening.size();
      continue;
    }
    encode_plain(text.substr(begin, at - begin), tokens);
    tokens.push_back(is_begin ? kBegin : kEnd);
    begin = at += is_begin ? kBeginMark.size() : kEndMark.size();
  }
  encode_plain(text.substr(begin), tokens);
  return tokens;
}

void ClipTokenizer::encode_plain(std::string_view text, std::vector<int32_t>& tokens) const {
  const CodePoints codes = to_lower(to_nfc(decode_utf8(text)));
  std::string bytes;
  for (std::u32string_view rest = codes; !rest.empty();) {
    std::vector<size_t> ends = mark_pieces(rest);
    if (ends.empty()) ends = {word_length(rest)};
    size_t begin = 0;
    for (const size_t end : ends) {
      if (classify(rest[begin]) != CodeClass::kSpace) {
        bytes.clear();
        for (const char32_t code : rest.substr(begin, end - begin)) append_utf8(bytes, code);
        encode_word(bytes, tokens);
      }
      begin = end;
    }
    rest.remove_prefix(begin);
  }
}

void ClipTokenizer::encode_word(std::string_view bytes, std::vector<int32_t>& tokens) const {
  // A linked list of tokens and a queue of possible merges, lowest rank and then leftmost first: a
  // word of n bytes takes n log n steps.
  struct Node {
    int32_t token, before, after;
  };
  struct Candidate {
    int32_t rank, left, left_token, right_token;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const auto count = static_cast<int32_t>(bytes.size());
  std::vector<Node> nodes;
  nodes.reserve(bytes.size());
  for (int32_t i = 0; i < count; ++i) {
    const int32_t token = byte_token_[static_cast<uint8_t>(bytes[static_cast<size_t>(i)])];
    nodes.push_back({i + 1 < count ? token : token + 256, i - 1, i + 1 < count ? i + 1 : -1});
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int32_t left) {
    if (left < 0 || nodes[left].after < 0) return;
    const int32_t a = nodes[left].token, b = nodes[nodes[left].after].token;
    const uint16_t rank = find_merge(a, b);
    if (rank != kNoMerge) queue.push({rank, left, a, b});
  };
  for (int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Node& left = nodes[best.left];
    if (left.token != best.left_token || left.after < 0 ||
        nodes[left.after].token != best.right_token)
      continue;
    Node& right = nodes[left.after];
    left.token = kFirstMerged + best.rank;
    right.token = -1;
    left.after = right.after;
    if (left.after >= 0) nodes[left.after].before = best.left;
    consider(left.before);
    consider(best.left);
  }
  for (int32_t i = count > 0 ? 0 : -1; i >= 0; i = nodes[i].after) tokens.push_back(nodes[i].token);
}

std::string ClipTokenizer::decode(const std::vector<int32_t>& tokens) const {
  const std::array<uint8_t, 256> order = bytes_in_order();
  std::string bytes;
  std::vector<int32_t> stack;
  for (const int32_t token : tokens) {
    if (token < 0 || token >= kBegin) continue;
    stack.assign(1, token);
    while (!stack.empty()) {
      const int32_t part = stack.back();
      stack.pop_back();
      if (part >= kFirstMerged) {
        const auto& [left, right] = kClipMerges[static_cast<size_t>(part - kFirstMerged)];
        stack.push_back(right);
        stack.push_back(left);
        continue;
      }
      bytes += static_cast<char>(order[static_cast<size_t>(part % 256)]);
      if (part >= 256) bytes += ' ';
    }
  }
  if (!bytes.empty() && bytes.back() == ' ') bytes.pop_back();
  std::string text;
  for (const char32_t code : decode_utf8(bytes)) append_utf8(text, code);
  return text;
}

}  // namespace safelight::text
