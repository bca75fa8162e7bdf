// Fuzzes CLIP's tokenizer: any bytes give tokens of the vocabulary, and those a text in UTF-8.
#include "text/clip_tokenizer.h"

#include <cstdint>
#include <cstdlib>

#include "base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using safelight::text::ClipTokenizer;
  const ClipTokenizer& tokenizer = ClipTokenizer::instance();
  const std::vector<int32_t> tokens = tokenizer.encode({reinterpret_cast<const char*>(data), size});
  for (const int32_t token : tokens) {
    if (token < 0 || token > ClipTokenizer::kEnd) std::abort();
  }
  if (safelight::find_invalid_utf8(tokenizer.decode(tokens)) != std::string::npos) std::abort();
  return 0;
}
