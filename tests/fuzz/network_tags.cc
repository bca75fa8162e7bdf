// Fuzzes the tags for LoRAs in prompts: what is left has none, and every number is finite.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "text/extra_networks.h"
#include "text/learned_words.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace safelight::text;
  const std::string_view prompt(reinterpret_cast<const char*>(data), size);
  const TaggedPrompt tagged = take_network_tags(prompt);
  for (const NetworkTag& tag : tagged.tags) {
    if (tag.kind.empty() || tag.positional.size() + tag.named.size() == 0) std::abort();
  }
  squeezed(tagged.text);
  const auto loras = lora_tags(tagged.tags);
  if (!loras) return 0;
  for (const LoraTag& lora : *loras) {
    if (lora.name.empty()) std::abort();
    if (!(std::abs(lora.unet) <= kMaxLoraWeight && std::abs(lora.text_encoder) <= kMaxLoraWeight))
      std::abort();
    for (const double weight : lora.block_weights) {
      if (!(std::abs(weight) <= kMaxLoraWeight)) std::abort();
    }
  }
  return 0;
}
