#include "text/chunks.h"

#include <algorithm>
#include <optional>
#include <span>

namespace safelight::text {
namespace {

constexpr int32_t kComma = 267;  // ",</w>"

class Chunker {
 public:
  explicit Chunker(const ChunkOptions& options) : options_(options) {}

  void add(int32_t token, float weight) {
    if (token == kComma) {
      last_comma_ = tokens_.size();
    } else if (tokens_.size() == kChunkTokens && last_comma_ &&
               tokens_.size() - *last_comma_ <= options_.comma_backtrack) {
      move_behind_comma();
    }
    if (tokens_.size() == kChunkTokens) finish(kChunkTokens);
    tokens_.push_back(token);
    weights_.push_back(weight);
  }

  void add(const std::shared_ptr<const LearnedWord>& word, float weight) {
    if (tokens_.size() + word->count() > kChunkTokens) finish(kChunkTokens);
    learned_.push_back({tokens_.size() + 1, word});
    tokens_.resize(tokens_.size() + word->count());
    weights_.resize(tokens_.size(), weight);
  }

  void finish(size_t counted) {
    TokenChunk chunk;
    std::copy(tokens_.begin(), tokens_.end(), chunk.tokens.begin() + 1);
    std::copy(weights_.begin(), weights_.end(), chunk.weights.begin() + 1);
    chunk.learned = std::move(learned_);
    result_.chunks.push_back(std::move(chunk));
    result_.token_count += counted;
    tokens_.clear();
    weights_.clear();
    learned_.clear();
    last_comma_.reset();
  }

  ChunkedPrompt take() {
    if (!tokens_.empty() || result_.chunks.empty()) finish(tokens_.size());
    return std::move(result_);
  }

 private:
  void move_behind_comma() {
    const auto begin = static_cast<std::ptrdiff_t>(*last_comma_) + 1;
    std::vector<int32_t> tokens(tokens_.begin() + begin, tokens_.end());
    std::vector<float> weights(weights_.begin() + begin, weights_.end());
    std::vector<LearnedVectors> learned;
    for (; !learned_.empty() && learned_.back().position > *last_comma_ + 1; learned_.pop_back()) {
      learned.insert(learned.begin(), learned_.back());
      learned.front().position -= *last_comma_ + 1;
    }
    tokens_.resize(static_cast<size_t>(begin));
    weights_.resize(static_cast<size_t>(begin));
    finish(kChunkTokens);
    tokens_ = std::move(tokens);
    weights_ = std::move(weights);
    learned_ = std::move(learned);
  }

  ChunkOptions options_;
  ChunkedPrompt result_;
  std::vector<int32_t> tokens_;
  std::vector<float> weights_;
  std::vector<LearnedVectors> learned_;
  std::optional<size_t> last_comma_;
};

}  // namespace

TokenChunk::TokenChunk() {
  tokens.fill(ClipTokenizer::kEnd);
  tokens.front() = ClipTokenizer::kBegin;
  weights.fill(1);
}

ChunkedPrompt chunk_prompt(const ClipTokenizer& tokenizer, const std::vector<PromptPart>& parts,
                           const Vocabulary& words, const ChunkOptions& options) {
  Chunker chunker(options);
  for (const PromptPart& part : parts) {
    if (part.is_break) {
      chunker.finish(kChunkTokens);
      continue;
    }
    const auto weight = static_cast<float>(part.weight);
    const std::vector<int32_t> tokens = tokenizer.encode(part.text);
    for (std::span<const int32_t> rest = tokens; !rest.empty();) {
      const Vocabulary::Match match = words.find(rest);
      if (match.word) {
        chunker.add(match.word, weight);
      } else {
        chunker.add(rest.front(), weight);
      }
      rest = rest.subspan(match.word ? match.tokens : 1);
    }
  }
  return chunker.take();
}

void pad_to_same_count(std::vector<TokenChunk>& a, std::vector<TokenChunk>& b) {
  const size_t count = std::max(a.size(), b.size());
  a.resize(count);
  b.resize(count);
}

}  // namespace safelight::text
