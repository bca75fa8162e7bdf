#include "app/model_catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

struct KindFolder {
  std::string_view folder;  ///< lower case; folders are matched without regard to case
  ModelKind kind;
};

/// Folders of a models folder as SD.Next, SD WebUI and ComfyUI name them.
constexpr std::array kFolders = {
    KindFolder{"stable-diffusion", ModelKind::kCheckpoint},
    KindFolder{"diffusers", ModelKind::kCheckpoint},
    KindFolder{"checkpoints", ModelKind::kCheckpoint},
    KindFolder{"vae", ModelKind::kVae},
    KindFolder{"lora", ModelKind::kLora},
    KindFolder{"loras", ModelKind::kLora},
    KindFolder{"lycoris", ModelKind::kLora},
    KindFolder{"embeddings", ModelKind::kEmbedding},
    KindFolder{"controlnet", ModelKind::kControlNet},
    KindFolder{"esrgan", ModelKind::kUpscaler},
    KindFolder{"realesrgan", ModelKind::kUpscaler},
    KindFolder{"upscale_models", ModelKind::kUpscaler},
    KindFolder{"unet", ModelKind::kDenoiser},
    KindFolder{"diffusion_models", ModelKind::kDenoiser},
    KindFolder{"text-encoder", ModelKind::kTextEncoder},
    KindFolder{"text_encoders", ModelKind::kTextEncoder},
    KindFolder{"clip", ModelKind::kTextEncoder},
    KindFolder{"vae-approx", ModelKind::kTinyDecoder},
    KindFolder{"vae_approx", ModelKind::kTinyDecoder},
    KindFolder{"taesd", ModelKind::kTinyDecoder},
};

// A tree that links or mounts make endless costs no more than this.
constexpr int kMaxDepth = 6;
constexpr size_t kMaxEntries = 100'000;

struct Ending {
  std::string_view text;
  bool anywhere;  ///< else only in a folder that says what it holds: other programs use these too
};

constexpr std::array kEndings = {Ending{".safetensors", true}, Ending{".gguf", true},
                                 Ending{".ckpt", false},       Ending{".pt", false},
                                 Ending{".pth", false},        Ending{".bin", false}};

std::optional<ModelKind> kind_of_folder(const fs::path& folder) {
  const std::string name = ascii_lower(folder.filename().string());
  for (const KindFolder& known : kFolders) {
    if (known.folder == name) return known.kind;
  }
  return std::nullopt;
}

const Ending* ending_of(std::string_view name) {
  const auto* found = std::find_if(kEndings.begin(), kEndings.end(), [&](const Ending& ending) {
    return name.size() > ending.text.size() && name.ends_with(ending.text);
  });
  return found == kEndings.end() ? nullptr : found;
}

/// `said`: whether the folder says what it holds.
bool is_model_file(const fs::path& path, bool said) {
  std::error_code ignored;
  const Ending* ending = ending_of(path.filename().string());
  return ending != nullptr && (said || ending->anywhere) && fs::is_regular_file(path, ignored);
}

bool is_model_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "model_index.json", ignored);
}

uint64_t size_of(const fs::path& path) {
  std::error_code failure;
  if (!fs::is_directory(path, failure)) {
    const uint64_t size = fs::file_size(path, failure);
    return failure ? 0 : size;
  }
  uint64_t total = 0;
  fs::recursive_directory_iterator entry(path, failure);
  for (const fs::recursive_directory_iterator end; !failure && entry != end;
       entry.increment(failure)) {
    std::error_code unreadable;
    if (entry->is_regular_file(unreadable)) total += entry->file_size(unreadable);
  }
  return total;
}

ModelEntry make_entry(const fs::path& path, ModelKind kind) {
  const std::string name = path.filename().string();
  // SD WebUI's name for a VAE that lies beside its checkpoint.
  if (kind == ModelKind::kCheckpoint && without_model_ending(name).ends_with(".vae"))
    kind = ModelKind::kVae;
  return {.name = std::string(without_model_ending(name)),
          .kind = kind,
          .path = path,
          .size = size_of(path)};
}

/// Where a file comes among those of its name: the safer format first.
size_t rank_of(const fs::path& path) {
  const Ending* ending = ending_of(path.filename().string());
  return ending == nullptr ? 0 : static_cast<size_t>(ending - kEndings.data());
}

/// The folder beside the shipped model that holds the guard's text classifier, which draws nothing.
constexpr std::string_view kGuardFolder = "guard-text";

/// The elements of a folder, sorted, hidden ones left out; empty when it cannot be read.
std::vector<fs::path> elements_of(const fs::path& folder) {
  std::vector<fs::path> elements;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && name != kGuardFolder) elements.push_back(entry->path());
  }
  std::sort(elements.begin(), elements.end(), [](const fs::path& a, const fs::path& b) {
    const std::string left = a.filename().string(), right = b.filename().string();
    const auto left_name = without_model_ending(left), right_name = without_model_ending(right);
    return left_name != right_name ? left_name < right_name : rank_of(a) < rank_of(b);
  });
  return elements;
}

/// Adds the models of one kind in `folder` and below; `said` as in is_model_file.
void add_models(const fs::path& folder, ModelKind kind, bool said, int depth,
                std::vector<ModelEntry>& found) {
  for (const fs::path& path : elements_of(folder)) {
    if (found.size() >= kMaxEntries) return;
    std::error_code ignored;
    if (is_model_file(path, said) || is_model_folder(path)) {
      found.push_back(make_entry(path, kind));
    } else if (depth > 0 && fs::is_directory(path, ignored)) {
      add_models(path, kind, said, depth - 1, found);
    }
  }
}

/// Adds everything in a models folder: folders by kind, and checkpoints at its top.
void add_root(const fs::path& root, std::vector<ModelEntry>& found) {
  for (const fs::path& path : elements_of(root)) {
    std::error_code ignored;
    if (const auto kind = kind_of_folder(path); kind && fs::is_directory(path, ignored)) {
      add_models(path, *kind, true, kMaxDepth, found);
    } else if (is_model_file(path, false) || is_model_folder(path)) {
      found.push_back(make_entry(path, ModelKind::kCheckpoint));
    } else if (fs::is_directory(path, ignored)) {
      add_models(path, ModelKind::kCheckpoint, false, 0, found);
    }
  }
}

/// Splits SD WebUI's "name [abc123]" into both; the hash is empty when there is none.
std::pair<std::string_view, std::string_view> split_title(std::string_view text) {
  const size_t open = text.rfind(" [");
  if (open == std::string_view::npos || !text.ends_with(']')) return {text, {}};
  return {text.substr(0, open), text.substr(open + 2, text.size() - open - 3)};
}

}  // namespace

std::string_view name_of(ModelKind kind) {
  switch (kind) {
    case ModelKind::kCheckpoint:
      return "checkpoint";
    case ModelKind::kVae:
      return "vae";
    case ModelKind::kLora:
      return "lora";
    case ModelKind::kEmbedding:
      return "embedding";
    case ModelKind::kControlNet:
      return "controlnet";
    case ModelKind::kUpscaler:
      return "upscaler";
    case ModelKind::kDenoiser:
      return "denoiser";
    case ModelKind::kTextEncoder:
      return "text encoder";
    case ModelKind::kTinyDecoder:
      return "tiny decoder";
  }
  return "unknown";
}

std::string_view folder_of(ModelKind kind) {
  switch (kind) {
    case ModelKind::kCheckpoint:
      return "Stable-diffusion";
    case ModelKind::kVae:
      return "VAE";
    case ModelKind::kLora:
      return "Lora";
    case ModelKind::kEmbedding:
      return "embeddings";
    case ModelKind::kControlNet:
      return "ControlNet";
    case ModelKind::kUpscaler:
      return "ESRGAN";
    case ModelKind::kDenoiser:
      return "UNET";
    case ModelKind::kTextEncoder:
      return "Text-encoder";
    case ModelKind::kTinyDecoder:
      return "VAE-approx";
  }
  return "";
}

std::string_view without_model_ending(std::string_view name) {
  if (const Ending* ending = ending_of(name)) name.remove_suffix(ending->text.size());
  return name;
}

ModelCatalog ModelCatalog::scan(const std::vector<fs::path>& roots) {
  ModelCatalog catalog;
  catalog.roots_ = roots;
  for (const fs::path& root : roots) {
    std::error_code ignored;
    if (fs::is_directory(root / "models", ignored)) {
      // An installation of SD WebUI keeps its embeddings beside `models`.
      add_root(root / "models", catalog.entries_);
      add_models(root / "embeddings", ModelKind::kEmbedding, true, kMaxDepth, catalog.entries_);
    } else {
      add_root(root, catalog.entries_);
    }
  }
  std::stable_sort(catalog.entries_.begin(), catalog.entries_.end(),
                   [](const ModelEntry& a, const ModelEntry& b) {
                     return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
                   });
  return catalog;
}

const ModelEntry* ModelCatalog::find_name(std::string_view name, ModelKind kind) const {
  // The whole name of a file means it, even if there is a file of another format beside it.
  for (const ModelEntry& entry : entries_) {
    if (entry.kind == kind && entry.path.filename() == name) return &entry;
  }
  name = without_model_ending(name);
  const std::string lower = ascii_lower(name);
  const ModelEntry* without_case = nullptr;
  for (const ModelEntry& entry : entries_) {
    if (entry.kind != kind) continue;
    if (entry.name == name) return &entry;
    if (without_case == nullptr && ascii_lower(entry.name) == lower) without_case = &entry;
  }
  return without_case;
}

Error ModelCatalog::not_found(std::string_view text, ModelKind kind) const {
  std::vector<std::string_view> names;
  for (const ModelEntry& entry : entries_) {
    if (entry.kind == kind) names.push_back(entry.name);
  }
  std::string remedy;
  if (const std::string_view nearest = nearest_name(text, names); !nearest.empty()) {
    remedy = fmt::format("did you mean '{}'?", nearest);
  } else if (!names.empty()) {
    remedy = fmt::format("'safelight models' lists the {} there are", names.size());
  } else {
    std::vector<std::string> looked;
    for (const fs::path& root : roots_) looked.push_back(root.string());
    remedy = fmt::format("there is none in {}", fmt::join(looked, ", "));
  }
  return {ErrorCode::kNotFound,
          fmt::format("there is no {} '{}'; {}", name_of(kind), text, remedy)};
}

Result<ModelEntry> ModelCatalog::find_listed(std::string_view name, ModelKind kind) const {
  if (const ModelEntry* entry = find_name(name, kind)) return *entry;
  return not_found(name, kind);
}

Result<ModelEntry> ModelCatalog::find(std::string_view name) const {
  const ModelEntry* found = nullptr;
  for (const ModelEntry& entry : entries_) {
    const ModelEntry* same = find_name(name, entry.kind);
    if (same == nullptr || same == found) continue;
    if (found != nullptr) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("'{}' is a {} and a {}; say which by its path", name,
                               name_of(found->kind), name_of(same->kind))};
    }
    found = same;
  }
  if (found != nullptr) return *found;
  std::error_code ignored;
  const auto at_path = std::find_if(entries_.begin(), entries_.end(), [&](const ModelEntry& entry) {
    return fs::equivalent(entry.path, name, ignored);
  });
  if (at_path != entries_.end()) return *at_path;
  return not_found(name, ModelKind::kCheckpoint);
}

Result<ModelEntry> ModelCatalog::find(std::string_view text, ModelKind kind,
                                      const HashCache& hashes) const {
  const auto [name, hash] = split_title(text);
  if (const ModelEntry* entry = find_name(name, kind)) {
    if (hash.empty()) return *entry;
    const auto known = hashes.known(entry->path);
    if (!known || known->starts_with(hash)) return *entry;
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} '{}' has the hash {}, not {}: it is another model of that name",
                             name_of(kind), name, known->substr(0, hash.size()), hash)};
  }
  const fs::path path(text);
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored) || is_model_folder(path)) return make_entry(path, kind);
  return not_found(text, kind);
}

}  // namespace safelight::app
