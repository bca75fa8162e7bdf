#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "pipelines/latent_model.h"

namespace safelight::pipelines {

/// Opens the checkpoint at `path`, finds its family and loads it for the engine, which must outlive
/// the model. `identity` is the file's hash for caches of packed weights, empty for none. The
/// model's own picture size comes from the metadata "modelspec.resolution" of the
/// file or of a JSON file beside it (model.safetensors, model.json), else from the family. Errors:
/// those of open_weights and the family; kUnsupported for a family that is not known here.
Result<std::unique_ptr<LatentModel>> load_model(engine::Engine& engine,
                                                const std::filesystem::path& path,
                                                const std::string& identity = {});

struct PictureSize {
  int64_t width = 0, height = 0;
};

/// The picture size that load_model() would give the checkpoint, from the file's head alone.
/// Errors: those of open_weights; kUnsupported for a family that is not known here.
Result<PictureSize> own_picture_size(const std::filesystem::path& path);

}  // namespace safelight::pipelines
