#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/dtype.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// What a file is for.
enum class FileKind {
  kUnknown,
  kCheckpoint,   ///< A denoiser with at least one of its text encoders and VAE.
  kDenoiser,     ///< A UNet or transformer alone.
  kTextEncoder,  ///< Text encoders alone.
  kVae,
  kLora,
  kEmbedding,  ///< Textual inversion.
  kControlNet,
  kUpscaler,
};

/// The model family that the names and shapes tell.
enum class Family { kUnknown, kSd1, kSd2, kSdxl, kSdxlRefiner, kSd3, kFlux };

/// Whose tensor names these are.
enum class Dialect {
  kUnknown,
  kOriginal,   ///< A single file in the names of the family's first release.
  kDiffusers,  ///< diffusers' and transformers' names, prefixed by component.
  kComponent,  ///< diffusers' or transformers' names of one component, without a prefix.
  kKohya,      ///< LoRA: `lora_unet_..., lora_te_...` (kohya-ss/sd-scripts).
  kPeft,       ///< LoRA: `unet.<path>.lora_A.weight` and diffusers' older `.lora.down.weight`.
};

/// One network in a file.
struct ComponentReport {
  std::string
      name;  ///< "unet", "transformer", "text_encoder", "text_encoder_2", "vae", "other", ...
  int64_t tensors = 0;
  int64_t parameters = 0;
  uint64_t bytes = 0;
  std::map<graph::DType, int64_t> parameters_by_dtype;
};

/// A line of the tensor list.
struct TensorReport {
  std::string name;
  graph::DType dtype = graph::DType::kF32;
  std::vector<int64_t> shape;
};

/// What a weights file is, from its names and shapes alone.
struct FileReport {
  std::string path;
  FileFormat format = FileFormat::kSafetensors;
  FileKind kind = FileKind::kUnknown;
  Family family = Family::kUnknown;
  std::string model;  ///< "SDXL inpainting": filled by who knows the family's variants
  Dialect dialect = Dialect::kUnknown;
  ComponentReport total;  ///< Over the whole file; its name is "total".
  std::vector<ComponentReport> components;
  TensorIndex::Metadata metadata;
  std::vector<TensorReport> tensors;  ///< Filled only on request.
};

struct InspectOptions {
  bool list_tensors = false;
};

/// Tells what lies at `path` (anything open_weights takes) without reading a single weight.
/// Errors: those of open_weights.
Result<FileReport> inspect(const std::filesystem::path& path, const InspectOptions& options = {});

/// The report on tensors that are open already.
FileReport inspect(const TensorIndex& index, const InspectOptions& options = {});

/// Names for people and for JSON: "sd1", "lora", "original", ...
std::string_view name_of(FileFormat format);
std::string_view name_of(FileKind kind);
std::string_view name_of(Family family);
std::string_view name_of(Dialect dialect);

/// The report as aligned lines of text, ending with a newline.
std::string to_text(const FileReport& report);

/// The report as JSON; sizes as integers, metadata as it is in the file.
boost::json::object to_json(const FileReport& report);

}  // namespace safelight::weights
