// Fuzzes the prompt language and its cutting into chunks.
#include "text/prompt.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "text/chunks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight::text;
  const auto parts = parse_prompt({reinterpret_cast<const char*>(data), size});
  if (parts.empty()) std::abort();
  for (const PromptPart& part : parts) {
    if (!(std::abs(part.weight) <= kMaxPromptWeight)) std::abort();
  }
  const ChunkedPrompt prompt = chunk_prompt(ClipTokenizer::instance(), parts);
  if (prompt.chunks.empty()) std::abort();
  for (const TokenChunk& chunk : prompt.chunks) {
    if (chunk.tokens.front() != ClipTokenizer::kBegin || chunk.tokens.back() != ClipTokenizer::kEnd)
      std::abort();
  }
  return 0;
}
