#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "pipelines/latent_model.h"
#include "pipelines/model_source.h"
#include "pipelines/taesd_decoder.h"

namespace safelight::pipelines {

/// Opens the files, finds the model's family and loads it for the engine, which must outlive the
/// model. What a checkpoint says of itself is in its traits then: its own picture size (metadata
/// "modelspec.resolution" of the file or of a JSON file beside it), what it predicts
/// (checkpoint_levels.h; of an SD 2.x model that does not tell, one evaluation finds it out), what
/// is recommended. Errors: those of open_weights, use_network and the family; kUnsupported for a
/// family that is not known here, and for a UNet alone.
Result<std::unique_ptr<LatentModel>> load_model(engine::Engine& engine, const ModelSource& source);
Result<std::unique_ptr<LatentModel>> load_model(engine::Engine& engine,
                                                const std::filesystem::path& path);

/// Opens the decoder of TAESD or TAESDXL at `path`. Errors: those of open_weights and taesd::bind.
Result<std::shared_ptr<TaesdDecoder>> load_taesd(engine::Engine& engine,
                                                 const std::filesystem::path& path);

struct PictureSize {
  int64_t width = 0, height = 0;
};

/// What a checkpoint says of itself to those who do not load it.
struct CheckpointFacts {
  PictureSize size;  ///< of its pictures
  Recommended recommended;
};

/// As load_model() would find them, from the file's head alone. Errors: those of open_weights;
/// kUnsupported for a family that is not known here.
Result<CheckpointFacts> checkpoint_facts(const std::filesystem::path& path);

}  // namespace safelight::pipelines
