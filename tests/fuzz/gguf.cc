// Fuzzes the GGUF reader: any bytes give an index whose views lie within them, or one error.

#include "weights/gguf.h"

#include <cstdint>
#include <span>

#include "fuzz/require.h"
#include "weights/convert.h"
#include "weights/inspect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight;
  const Bytes file = std::as_bytes(std::span(data, size));
  const auto index = weights::parse_gguf(file, "fuzz.gguf");
  if (!index) {
    require(index.error().message.starts_with("fuzz.gguf: "));
    return 0;
  }
  for (const auto& [name, tensor] : *index) {
    require(tensor.data.empty() || (tensor.data.data() >= file.data() &&
                                    tensor.data.data() + tensor.data.size() <= file.data() + size));
    require(weights::to_tensor(tensor).size() == tensor.count());
    weights::has_non_finite(tensor);
  }
  weights::to_text(weights::inspect(*index, {.list_tensors = true}));
  return 0;
}
