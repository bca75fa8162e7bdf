// Fuzzes reading the generation text of PNG, JPEG and WebP files, and decoding them.
#include <cstdint>
#include <cstdlib>

#include "base/text.h"
#include "image/codec.h"
#include "image/metadata.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight;
  const Bytes file{reinterpret_cast<const std::byte*>(data), size};
  const auto text = image::read_parameters(file);
  (void)text;
  if (size < 4096) (void)image::decode(file);
  return 0;
}
