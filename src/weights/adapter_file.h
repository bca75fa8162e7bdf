#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weights/tensor_index.h"

namespace safelight::weights {

/// How a module of an adapter changes its layer.
enum class AdapterKind : uint8_t {
  kUnknown,
  kLora,   ///< up x down (Hu et al. 2021), also of convolutions and with a core (Tucker) between
  kLoha,   ///< the product, element by element, of two such (Hyeon-Woo et al. 2021)
  kLokr,   ///< a Kronecker product (Yeh et al. 2023, LyCORIS)
  kIa3,    ///< factors of inputs or outputs (Liu et al. 2022)
  kDiff,   ///< the whole difference
  kNorm,   ///< the difference of a norm's weight and bias
  kOft,    ///< rotations; not supported
  kGlora,  ///< not supported
};
/// "LoRA", "LoHa", ...
std::string_view name_of(AdapterKind kind);

/// What an adapter has for one module (a layer) of a network.
struct AdapterModule {
  std::string name;     ///< in the file, without the endings of its tensors
  std::string network;  ///< "unet", "text", "text2"; others are no networks of ours
  std::string path;     ///< in the network: parts joined by '_', without the network's prefix
  AdapterKind kind = AdapterKind::kUnknown;
  /// Its tensors by what they are: "down", "up", "mid", "w1_a", "dora", "diff", "alpha", ...
  TensorIndex::Map parts;

  /// The tensor that is this part, or null.
  const TensorView* part(std::string_view what) const {
    const auto found = parts.find(what);
    return found == parts.end() ? nullptr : &found->second;
  }
  /// The inner size of its products; 0 where it has none.
  int64_t rank() const;
};

/// The tensors of an adapter's file, sorted by their names alone: nothing is read or checked.
struct AdapterFile {
  std::vector<AdapterModule> modules;   ///< in the order of their names
  std::vector<std::string> embeddings;  ///< names of textual inversions within (`bundle_emb.NAME.`)
  std::vector<std::string> unknown;     ///< tensors that are nothing of an adapter's
};

/// Sorts tensors by the spellings of kohya, diffusers, PEFT, LyCORIS, ComfyUI and OneTrainer. A
/// part that is there in two spellings counts once and is unknown the second time.
AdapterFile read_adapter_file(const TensorIndex& index);

}  // namespace safelight::weights
