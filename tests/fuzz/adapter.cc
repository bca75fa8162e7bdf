// Fuzzes adapters: any safetensors bytes give an adapter whose changes of a small layer are finite
// in size and can be computed, or one error.

#include "weights/adapter.h"

#include <cstdint>
#include <span>

#include "fuzz/require.h"
#include "weights/adapt.h"
#include "weights/block_weights.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto blocks = weights::parse_block_weights(text)) require(blocks->size() <= 26);
  const auto index =
      weights::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
  if (!index) return 0;
  const auto adapter = weights::Adapter::make(*index, "fuzz");
  if (!adapter) return 0;
  weights::BoundWeights bound;
  weights::AdapterNames names("unet");
  for (const auto& [layer, shape] : {std::pair("a", std::vector<int64_t>{4, 2}),
                                     std::pair("b", std::vector<int64_t>{2, 2, 3, 3})}) {
    bound.insert(std::string(layer) + ".weight", weights::view_of(Tensor(shape)));
    bound.insert(std::string(layer) + ".bias", weights::view_of(Tensor({shape[0]})));
    names.add(layer, {layer});
  }
  const weights::AdapterNames* networks[] = {&names};
  weights::unmatched_modules(**adapter, networks);
  const weights::AdapterUse use{*adapter, 0.5, 1, {}};
  const auto changed = weights::adapt(bound, names, {&use, 1});
  if (!changed) {
    require(!changed.error().message.empty());
    return 0;
  }
  for (const auto& [name, weight] : *changed)
    require(weight->whole().size() == Tensor::count(bound.at(name).shape));
  return 0;
}
