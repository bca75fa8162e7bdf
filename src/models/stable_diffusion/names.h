#pragma once

#include <optional>
#include <string>

#include "weights/tensor_index.h"

namespace safelight::models::stable_diffusion {

/// How a file names the tensors of one network whose reference names are LDM's and CLIP's.
class NetworkNames {
 public:
  enum class Network { kText, kUnet, kAutoencoder };

  /// Finds out which dialect the tensors use; nothing when the network is not there.
  static std::optional<NetworkNames> detect(const weights::TensorIndex& index, Network network);

  /// The file's name of the tensor that the reference calls `name` (without the network's prefix).
  std::string in_file(const std::string& name) const;

 private:
  Network network_ = Network::kText;
  bool diffusers_ = false;
  std::string prefix_;
  bool older_attention_ = false;  ///< diffusers' autoencoder before 0.18: query, key, ...
  int64_t blocks_ =
      0;  ///< diffusers: residual blocks a level of the UNet, or levels of the autoencoder
};

}  // namespace safelight::models::stable_diffusion
