#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "request/request.h"

namespace safelight::pipelines {

/// A network of a model that people keep in files of its own.
enum class ModelPart { kUnet, kTextEncoder, kVae };

/// A network from a file of its own.
struct PartFile {
  ModelPart part = ModelPart::kVae;
  std::filesystem::path path;
  std::string name;    ///< as people call it
  std::string sha256;  ///< empty when not known
  bool operator==(const PartFile&) const = default;
};

/// A network that a request wants from a file of its own.
struct WantedPart {
  ModelPart part = ModelPart::kVae;
  std::string name;  ///< or path; empty for a VAE that lies beside the checkpoint, if there is one
};

/// Those of the request's fields unet, text_encoder and vae.
std::vector<WantedPart> wanted_parts(const request::Request& request);

/// Whether a model's name is one that SD WebUI and SD.Next have for no choice: "None", "Automatic",
/// "Default" or nothing.
bool is_no_name(std::string_view name);

/// What a model is loaded from.
struct ModelSource {
  std::filesystem::path path;   ///< a checkpoint, or a UNet alone with the other networks as parts
  std::string sha256;           ///< for caches of packed weights; empty for none
  std::vector<PartFile> parts;  ///< in the place of its own networks
  std::string prediction = "auto";  ///< see request::Request
};

}  // namespace safelight::pipelines
