#include "weights/open_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "weights/gguf.h"
#include "weights/messages.h"
#include "weights/safetensors.h"
#include "weights/scaled_floats.h"
#include "weights/torch_file.h"

namespace safelight::weights {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// Files of weights in folders, the preferred ending first.
constexpr std::string_view kEndings[] = {".safetensors", ".bin"};
constexpr std::string_view kModelIndex = "model_index.json";
constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kScheduler = "scheduler", kSchedulerConfig = "scheduler_config.json";
constexpr uint64_t kMaxJsonFile = 16'000'000;

/// Whether `name` is a file's name alone, so that joining it to a folder stays inside it.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

Result<json::object> read_json_object(const fs::path& path, const std::string& label) {
  const Result<std::string> text = read_file(path, kMaxJsonFile);
  if (!text) return text.error();
  Result<json::value> value = parse_json(*text);
  if (!value) {
    return Error{ErrorCode::kCorruptFile, printable(value.error().message, 300)}.in(label);
  }
  if (!value->is_object()) return Error{ErrorCode::kCorruptFile, label + ": is no JSON object"};
  return std::move(value->get_object());
}

/// Opens one file under the name `label`; its first bytes tell its form.
Result<TensorIndex> open_file(const fs::path& path, const std::string& label) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  const Bytes bytes = (*file)->bytes();
  if (looks_like_gguf(bytes)) return parse_gguf(bytes, label, *file, file->get());
  if (looks_like_torch(bytes)) return parse_torch(bytes, label, *file, file->get());
  return parse_safetensors(bytes, label, *file, file->get());
}

/// The shards of an index file: shard name to the tensors that the index places there.
using Shards = std::map<std::string, std::vector<std::string>, std::less<>>;

Result<Shards> read_weight_map(const fs::path& path, const std::string& label) {
  const Result<json::object> index = read_json_object(path, label);
  if (!index) return index.error();
  const json::value* field = index->if_contains("weight_map");
  const json::object* weight_map = field == nullptr ? nullptr : field->if_object();
  if (weight_map == nullptr || weight_map->empty()) {
    return Error{ErrorCode::kCorruptFile,
                 label + ": has no weight_map; an object of tensor names to shard files is needed"};
  }
  Shards shards;
  for (const auto& [key, value] : *weight_map) {
    const std::string tensor(key);
    const json::string* text = value.if_string();
    const std::string shard = text == nullptr ? std::string() : std::string(*text);
    if (!is_plain_name(shard)) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("{}: tensor '{}' is placed in '{}'; the name of a file in the same "
                               "folder is needed",
                               label, printable(tensor), printable(shard))};
    }
    shards[shard].push_back(tensor);
  }
  return shards;
}

/// Adds the tensors that the index places in one shard; a shard's other tensors are left out, for
/// the index is what says where each one is.
Status add_shard(const fs::path& folder, const std::string& label_folder, const std::string& shard,
                 const std::vector<std::string>& tensors, const std::string& label,
                 TensorIndex& all) {
  std::error_code ignored;
  if (!fs::exists(folder / shard, ignored)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: shard '{}' is missing; download it into the same folder", label,
                             printable(shard))};
  }
  const std::string shard_label = label_folder + printable(shard);
  const Result<TensorIndex> opened = open_file(folder / shard, shard_label);
  if (!opened) return opened.error();
  all.format = opened->format;
  for (const std::string& name : tensors) {
    const TensorView* tensor = opened->find(name);
    if (tensor == nullptr) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("{}: tensor '{}' is not in its shard '{}'; index and shards are not "
                               "of one model",
                               label, printable(name), printable(shard))};
    }
    if (Status added = all.add(name, *tensor, shard_label); !added) return added;
  }
  for (const auto& [key, text] : opened->metadata) all.metadata.emplace(key, text);
  return {};
}

Result<TensorIndex> open_sharded(const fs::path& path, const std::string& label_folder) {
  const std::string label = label_folder + path.filename().string();
  const Result<Shards> shards = read_weight_map(path, label);
  if (!shards) return shards.error();
  TensorIndex all;
  for (const auto& [shard, tensors] : *shards) {
    Status added = add_shard(path.parent_path(), label_folder, shard, tensors, label, all);
    if (!added) return added.error();
  }
  return all;
}

/// A file of a folder that could be opened for its weights.
struct Candidate {
  fs::path path;
  std::string variant;  ///< "fp16" in `model.fp16.safetensors`; empty for the plain one.
  bool sharded = false;
  size_t ending = 0;  ///< of kEndings
};

/// Whether a stem ends in "-00001-of-00002": a part of a model, found through its index.
bool is_shard(std::string_view stem) {
  constexpr std::string_view kForm = "-ddddd-of-ddddd";
  if (stem.size() < kForm.size()) return false;
  const std::string_view end = stem.substr(stem.size() - kForm.size());
  return std::equal(end.begin(), end.end(), kForm.begin(), [](char c, char form) {
    return form == 'd' ? c >= '0' && c <= '9' : c == form;
  });
}

/// Whether a `.bin` file is a model by its name: trainers leave others beside it.
bool is_model_bin(std::string_view base) {
  return base.ends_with("model") || base == "pytorch_lora_weights" || base == "learned_embeds";
}

/// What `path` is by its name alone: `<base>[.<variant>]<ending>` or
/// `<base><ending>.index[.<variant>].json`.
std::optional<Candidate> candidate(const fs::path& path) {
  const std::string name = path.filename().string();
  for (size_t ending = 0; ending < std::size(kEndings); ++ending) {
    const std::string index_part = std::string(kEndings[ending]) + ".index.";
    if (const size_t part = name.find(index_part); part != std::string::npos) {
      if (!name.ends_with(".json")) return std::nullopt;
      const std::string rest = name.substr(part + index_part.size());
      return Candidate{path, rest.size() > 5 ? rest.substr(0, rest.size() - 5) : "", true, ending};
    }
    if (!name.ends_with(kEndings[ending])) continue;
    const std::string stem = name.substr(0, name.size() - kEndings[ending].size());
    const size_t dot = stem.rfind('.');
    if (is_shard(stem) || (ending > 0 && !is_model_bin(stem.substr(0, dot)))) return std::nullopt;
    return Candidate{path, dot == std::string::npos ? "" : stem.substr(dot + 1), false, ending};
  }
  return std::nullopt;
}

Error no_weights(const fs::path& folder) {
  return {ErrorCode::kNotFound,
          folder.string() +
              ": holds no weights; a .safetensors file, a .safetensors.index.json, a "
              "model_index.json or diffusers' .bin files are needed"};
}

/// Variants of a model's files by their names, the preferred one first: the plain one has what
/// its author means to be used; averaged weights draw better than those of the last training step.
constexpr std::string_view kVariants[] = {"", "fp16", "bf16", "ema", "non_ema"};

/// All files of a folder that could be opened for its weights.
Result<std::vector<Candidate>> list_candidates(const fs::path& folder) {
  std::vector<Candidate> found;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (auto known = candidate(entry->path())) found.push_back(*std::move(known));
  }
  if (failure) {
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot list the folder: {}", folder.string(), failure.message())};
  }
  return found;
}

/// The weights to open in a folder: the first of kVariants that is there, else the only one; of one
/// variant the file of the preferred ending.
Result<Candidate> choose_weights(const fs::path& folder) {
  Result<std::vector<Candidate>> listed = list_candidates(folder);
  if (!listed) return listed.error();
  std::vector<Candidate>& found = *listed;
  if (found.empty()) return no_weights(folder);
  const auto keep_if_any = [&](const auto& matches) {
    if (std::none_of(found.begin(), found.end(), matches)) return false;
    std::erase_if(found, [&](const Candidate& c) { return !matches(c); });
    return true;
  };
  for (const std::string_view variant : kVariants) {
    if (keep_if_any([&](const Candidate& c) { return c.variant == variant; })) break;
  }
  keep_if_any([](const Candidate& c) { return c.ending == 0; });
  if (found.size() == 1) return found.front();
  std::vector<std::string> names;
  names.reserve(found.size());
  for (const Candidate& c : found) names.push_back(printable(c.path.filename().string()));
  std::sort(names.begin(), names.end());
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{}: holds several models ({}); name one of the files", folder.string(),
                           printable(fmt::format("{}", fmt::join(names, ", ")), 300))};
}

Status read_config(const fs::path& path, const std::string& label, const std::string& component,
                   TensorIndex& into) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  Result<json::object> config = read_json_object(path, label);
  if (!config) return config.error();
  into.configs.emplace(component, *std::move(config));
  return {};
}

/// The weights of a folder without model_index.json. `label_folder` ("unet/" or empty) stands
/// before the file names in messages.
Result<TensorIndex> open_plain_folder(const fs::path& folder, const std::string& label_folder) {
  const Result<Candidate> chosen = choose_weights(folder);
  if (!chosen) return chosen.error();
  if (chosen->sharded) return open_sharded(chosen->path, label_folder);
  return open_file(chosen->path, label_folder + chosen->path.filename().string());
}

/// Adds one entry of model_index.json. Only a folder with a config.json is a network: schedulers
/// and tokenizers keep theirs under other names.
Status add_component(const fs::path& model, const std::string& component, TensorIndex& all) {
  if (!is_plain_name(component)) {
    return Error{ErrorCode::kCorruptFile, fmt::format("{}: component '{}' is no plain folder name",
                                                      kModelIndex, printable(component))};
  }
  const fs::path folder = model / component;
  std::error_code ignored;
  if (!fs::exists(folder / kConfig, ignored)) return {};
  const std::string label_folder = printable(component) + "/";
  Status configured =
      read_config(folder / kConfig, label_folder + std::string(kConfig), component, all);
  if (!configured) return configured;
  Result<TensorIndex> weights = open_plain_folder(folder, label_folder);
  if (!weights) return weights.error();
  return all.merge(*std::move(weights), component + ".");
}

Result<TensorIndex> open_diffusers_folder(const fs::path& folder) {
  TensorIndex all;
  Status described = read_config(folder / kModelIndex, std::string(kModelIndex), "", all);
  if (!described) return described.error();
  const json::object entries = all.configs.find("")->second.get_object();
  for (const auto& [key, value] : entries) {
    // A component is [library, class]; [null, null] when the model has none.
    const json::array* origin = value.if_array();
    if (origin == nullptr || origin->size() != 2 || !origin->front().is_string()) continue;
    if (Status added = add_component(folder, std::string(key), all); !added) return added.error();
  }
  if (all.empty()) return no_weights(folder);
  Status scheduled =
      read_config(folder / kScheduler / kSchedulerConfig,
                  fmt::format("{}/{}", kScheduler, kSchedulerConfig), std::string(kScheduler), all);
  if (!scheduled) return scheduled.error();
  return all;
}

Result<TensorIndex> open_folder(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / kModelIndex, ignored)) return open_diffusers_folder(folder);
  Result<TensorIndex> index = open_plain_folder(folder, "");
  if (!index) return index;
  Status configured = read_config(folder / kConfig, std::string(kConfig), "", *index);
  if (!configured) return configured.error();
  return index;
}

Result<TensorIndex> open_any(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return open_folder(path);
  const auto known = candidate(path);
  if (known && known->sharded) return open_sharded(path, "");
  return open_file(path, path.filename().string());
}

}  // namespace

Result<TensorIndex> open_weights(const std::filesystem::path& path) {
  Result<TensorIndex> index = open_any(path);
  if (!index) return index;
  if (Status attached = attach_scales(*index); !attached) return attached.error();
  return index;
}

}  // namespace safelight::weights
