// Fuzzes what is read of other programs' metadata: whatever a graph says, a generation text that
// can be read again or nothing.
#include "request/foreign_metadata.h"

#include <cstdint>
#include <cstdlib>

#include "request/infotext.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight::request;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const PictureTexts& texts :
       {PictureTexts{{"prompt", text}}, PictureTexts{{"invokeai_metadata", text}},
        PictureTexts{{"Software", "NovelAI"}, {"Comment", text}}}) {
    const auto found = foreign_infotext(texts);
    if (found && found->find("Steps: ") == std::string::npos) std::abort();
    if (found) parse_infotext(*found);
  }
  return 0;
}
