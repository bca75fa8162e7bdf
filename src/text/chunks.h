#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "text/clip_tokenizer.h"
#include "text/learned_words.h"
#include "text/prompt.h"

namespace safelight::text {

constexpr size_t kChunkTokens = 75;            ///< of a prompt in one run of the text encoder
constexpr size_t kContext = kChunkTokens + 2;  ///< with its begin and end marks

/// The tokens of one run of the text encoder, with the weight of each.
struct TokenChunk {
  std::array<int32_t, kContext> tokens;
  std::array<float, kContext> weights;
  std::vector<LearnedVectors> learned;  ///< in order; their positions count the begin mark
  /// A chunk without words.
  TokenChunk();
};

struct ChunkOptions {
  /// When a chunk is full, what stands behind a comma this near to its end moves to the next; 0 for
  /// never.
  size_t comma_backtrack = 20;
};

struct ChunkedPrompt {
  std::vector<TokenChunk> chunks;  ///< at least one
  size_t token_count = 0;          ///< as SD WebUI counts: whole chunks, and the tokens of the last
};

/// Cuts a prompt into chunks as SD WebUI does (modules/sd_hijack_clip.py, tokenize_line). Learned
/// words are put in where their names stand; none is cut, so that each must fit a chunk.
ChunkedPrompt chunk_prompt(const ClipTokenizer& tokenizer, const std::vector<PromptPart>& parts,
                           const Vocabulary& words = {}, const ChunkOptions& options = {});

/// Appends empty chunks to the shorter, so that prompt and negative prompt can be denoised
/// together.
void pad_to_same_count(std::vector<TokenChunk>& a, std::vector<TokenChunk>& b);

}  // namespace safelight::text
