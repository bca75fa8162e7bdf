#include "app/model_parts.h"

namespace safelight::app {

namespace fs = std::filesystem;
using pipelines::ModelPart;
using pipelines::PartFile;

namespace {

/// As SD WebUI finds a VAE beside a checkpoint (modules/sd_vae.py).
std::optional<fs::path> vae_beside(const fs::path& checkpoint) {
  for (const char* ending : {".vae.safetensors", ".vae.pt", ".vae.ckpt"}) {
    fs::path beside = checkpoint;
    beside.replace_extension(ending);
    std::error_code ignored;
    if (fs::is_regular_file(beside, ignored)) return beside;
  }
  return std::nullopt;
}

}  // namespace

ModelKind kind_of(ModelPart part) {
  switch (part) {
    case ModelPart::kUnet:
      return ModelKind::kDenoiser;
    case ModelPart::kTextEncoder:
      return ModelKind::kTextEncoder;
    case ModelPart::kVae:
      break;
  }
  return ModelKind::kVae;
}

Result<std::optional<PartFile>> find_part(Library& library, ModelPart part, const std::string& name,
                                          const studio::ModelFile& model) {
  PartFile file{.part = part};
  if (name.empty()) {
    const auto beside = vae_beside(model.path);
    if (!beside) return std::optional<PartFile>();
    file.path = *beside;
    file.name = without_model_ending(beside->filename().string());
  } else {
    const auto entry = library.catalog.find(name, kind_of(part), library.hashes);
    if (!entry) return entry.error();
    file.path = entry->path;
    file.name = entry->name;
  }
  auto hash = library.hashes.sha256(file.path);
  if (!hash) return hash.error();
  file.sha256 = std::move(*hash);
  return std::optional(std::move(file));
}

std::optional<fs::path> find_tiny_decoder(const Library& library, std::string_view name) {
  for (const std::string& wanted : {std::string(name) + "_decoder", std::string(name)}) {
    const auto entry = library.catalog.find(wanted, ModelKind::kTinyDecoder, library.hashes);
    if (entry) return entry->path;
  }
  return std::nullopt;
}

}  // namespace safelight::app
