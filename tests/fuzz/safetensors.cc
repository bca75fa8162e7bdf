// Fuzzes the safetensors reader: any bytes give an index whose views lie within them, or one error.

#include "weights/safetensors.h"

#include <cstdint>
#include <span>

#include "fuzz/require.h"
#include "weights/convert.h"
#include "weights/embedding.h"
#include "weights/inspect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight;
  const Bytes file = std::as_bytes(std::span(data, size));
  const auto index = weights::parse_safetensors(file, "fuzz.safetensors");
  if (!index) {
    require(index.error().message.starts_with("fuzz.safetensors: "));
    return 0;
  }
  for (const auto& [name, tensor] : *index) {
    require(tensor.data.empty() || (tensor.data.data() >= file.data() &&
                                    tensor.data.data() + tensor.data.size() <= file.data() + size));
    const Tensor values = weights::to_tensor(tensor);
    require(values.size() == tensor.count());
    weights::has_non_finite(tensor);
  }
  weights::to_text(weights::inspect(*index, {.list_tensors = true}));
  const auto embedding = weights::read_embedding(*index);
  if (embedding) require(embedding->count() >= 1 && embedding->width() >= 1);
  const auto bundled = weights::read_bundled_embeddings(*index);
  if (!bundled) require(bundled.error().code == ErrorCode::kCorruptFile);
  return 0;
}
