#pragma once

#include <optional>
#include <string>

#include "app/library.h"
#include "studio/studio.h"

namespace safelight::app {

/// The file that takes the place of a network of `model`: by name from the folder for such files,
/// or by path; for a VAE without a name the one beside the checkpoint (model.vae.safetensors,
/// .vae.pt, .vae.ckpt), if there is one. Errors: kNotFound; those of hashing.
Result<std::optional<pipelines::PartFile>> find_part(Library& library, pipelines::ModelPart part,
                                                     const std::string& name,
                                                     const studio::ModelFile& model);

/// The kind of model whose files hold the network.
ModelKind kind_of(pipelines::ModelPart part);

/// The file or folder of a tiny decoder, `name` being "taesd" or "taesdxl": NAME_decoder or NAME in
/// the folders VAE-approx, vae_approx or TAESD.
std::optional<std::filesystem::path> find_tiny_decoder(const Library& library,
                                                       std::string_view name);

}  // namespace safelight::app
