#include "text/clip_tokenizer.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "text/clip_merges.h"
#include "text/unicode.h"

namespace safelight::text {
namespace {

constexpr int32_t kFirstMerged = 512;  // behind the bytes, plain and ending a word
constexpr std::string_view kBeginMark = "<|startoftext|>", kEndMark = "<|endoftext|>";
constexpr std::u32string_view kMarks[] = {U"<|startoftext|>", U"<|endoftext|>"};

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

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
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
  for (const std::u32string_view mark : kMarks) {
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
  merges_.reserve(kClipMerges.size());
  for (const auto& [left, right] : kClipMerges) {
    const auto rank = static_cast<int32_t>(pairs_.size());
    merges_.emplace(pair_key(left, right), Merge{rank, kFirstMerged + rank});
    pairs_.emplace_back(left, right);
  }
}

std::vector<int32_t> ClipTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  while (!text.empty()) {
    const size_t begin = std::min(text.find(kBeginMark), text.size()),
                 end = std::min(text.find(kEndMark), text.size());
    const size_t mark = std::min(begin, end);
    encode_plain(text.substr(0, mark), tokens);
    text.remove_prefix(mark);
    if (text.empty()) break;
    tokens.push_back(begin < end ? kBegin : kEnd);
    text.remove_prefix(begin < end ? kBeginMark.size() : kEndMark.size());
  }
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
    const auto found = merges_.find(pair_key(a, b));
    if (found != merges_.end()) queue.push({found->second.rank, left, a, b});
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
  std::array<uint8_t, 256> order = bytes_in_order();
  std::string text;
  std::vector<int32_t> stack;
  for (const int32_t token : tokens) {
    if (token < 0 || token >= kBegin) continue;
    stack.assign(1, token);
    while (!stack.empty()) {
      const int32_t part = stack.back();
      stack.pop_back();
      if (part >= kFirstMerged) {
        const auto& [left, right] = pairs_[static_cast<size_t>(part - kFirstMerged)];
        stack.push_back(right);
        stack.push_back(left);
        continue;
      }
      text += static_cast<char>(order[static_cast<size_t>(part % 256)]);
      if (part >= 256) text += ' ';
    }
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace safelight::text
