#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weights/bound_weights.h"
#include "weights/tensor_index.h"

namespace safelight::models::stable_diffusion {

/// How a file names the tensors of one network whose reference names are LDM's and, of text
/// encoders, those of transformers' CLIPTextModelWithProjection. Each network is found for itself:
/// the parts of an index may come from files of different dialects.
class NetworkNames {
 public:
  enum class Network {
    kText,        ///< CLIP-L, SD 2's OpenCLIP-H, or the only one of an SDXL refiner
    kSecondText,  ///< OpenCLIP-bigG beside CLIP-L
    kUnet,
    kAutoencoder,
  };

  /// Finds out which dialect the tensors use; nothing when the network is not there.
  static std::optional<NetworkNames> detect(const weights::TensorIndex& index, Network network);

  /// Where the file has the tensor that the reference calls `name` (without the network's prefix).
  weights::TensorPlace in_file(const std::string& name) const;

  /// Whether a text encoder has OpenCLIP's own names.
  bool open_clip() const { return form_ == Form::kOpenClip; }
  /// Whose config.json is the network's: "text_encoder", "unet", ...
  std::string_view component() const { return component_; }

 private:
  enum class Form {
    kReference,  ///< the reference's names behind a prefix
    kDiffusers,
    kOpenClip,
  };
  struct Dialect;
  static const Dialect kDialects[];

  Network network_ = Network::kText;
  Form form_ = Form::kReference;
  std::string prefix_;
  std::string_view component_;
  bool older_attention_ = false;  ///< diffusers' autoencoder before 0.18: query, key, ...
  int64_t blocks_ =
      0;  ///< diffusers: residual blocks a level of the UNet, or levels of the autoencoder
};

}  // namespace safelight::models::stable_diffusion
