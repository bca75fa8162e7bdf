// Fuzzes the reader of torch's files: any bytes give an index whose tensors hold what their shapes
// say, or one error; nothing that they name is run.

#include <cstdint>
#include <span>

#include "fuzz/require.h"
#include "weights/convert.h"
#include "weights/embedding.h"
#include "weights/inspect.h"
#include "weights/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight;
  const auto index = weights::parse_torch(std::as_bytes(std::span(data, size)), "fuzz.pt");
  if (!index) {
    require(index.error().message.starts_with("fuzz.pt: "));
    return 0;
  }
  uint64_t elements = 0;
  for (const auto& [name, tensor] : *index) {
    require(weights::to_tensor(tensor).size() == tensor.count());
    elements += static_cast<uint64_t>(tensor.count());
  }
  require(elements <= index->size() * size);
  weights::to_text(weights::inspect(*index, {.list_tensors = true}));
  const auto embedding = weights::read_embedding(*index);
  if (embedding) require(embedding->count() >= 1 && embedding->width() >= 1);
  return 0;
}
