#include "weights/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "weights/byte_reader.h"
#include "weights/messages.h"
#include "weights/pickle.h"
#include "weights/torch_globals.h"
#include "weights/torch_tensor.h"
#include "weights/zip.h"

namespace safelight::weights {
namespace {

using std::string_view_literals::operator""sv;
using Kind = Pickle::Kind;
using Id = Pickle::Id;
using Node = Pickle::Node;

constexpr size_t kMaxTensors = 200'000;
constexpr size_t kMaxEntries = 1'000'000;  // of dictionaries, each time that they are met
constexpr int kMaxDepth = 6;               // of dictionaries
constexpr size_t kMaxKey = 1000, kMaxText = 10'000;
constexpr size_t kMaxMetadata = 1000;

/// Under what keys programs keep the model, the most wanted first.
constexpr std::string_view kModelKeys[] = {"state_dict", "params_ema", "params", "model_state_dict",
                                           "model",      "module",     "net",    "weights"};
constexpr std::string_view kEmbeddingKey = "string_to_param";
/// What torch.save wrote first before version 1.6, and the version of that form.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv;
constexpr int64_t kLegacyVersion = 1001;

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }
Error unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message)}; }

/// A pickle with the storages that it names.
struct Content {
  Pickle pickle;
  TorchStorages storages;
};

/// The folder of an archive that torch wrote; empty when it is none.
std::string_view folder_of(const ZipEntries& entries) {
  for (const auto& [name, data] : entries) {
    if (name.ends_with("/data.pkl") && name.find('/') == name.size() - "/data.pkl"sv.size())
      return name.substr(0, name.size() - "data.pkl"sv.size());
  }
  return {};
}

Result<Content> read_zip(Bytes file) {
  const Result<ZipEntries> entries = read_zip_directory(file);
  if (!entries) return entries.error();
  const std::string_view folder = folder_of(*entries);
  if (folder.empty())
    return unsupported("is a zip archive, but not one that torch wrote; unpack it first");
  const auto find = [&](std::string_view name) {
    return entries->find(std::string(folder).append(name));
  };
  if (find("constants.pkl") != entries->end())
    return unsupported("is a TorchScript program, not a file of weights; refused");
  const auto order = find("byteorder");
  constexpr std::string_view kBig = "big";
  if (order != entries->end() && order->second.data.size() == kBig.size() &&
      std::memcmp(order->second.data.data(), kBig.data(), kBig.size()) == 0)
    return unsupported("was written by a big-endian machine; save it anew on another");
  Content content;
  const auto bytes_of = [](std::string_view name, const ZipEntry& entry) -> Result<Bytes> {
    if (entry.plain) return entry.data;
    return unsupported(
        fmt::format("file '{}' of its archive is compressed or encrypted; torch "
                    "stores files plainly: save the model anew with torch.save",
                    printable(name)));
  };
  const Result<Bytes> described = bytes_of("data.pkl", find("data.pkl")->second);
  if (!described) return described.error();
  Result<Pickle> pickle = read_pickle(*described, check_torch_global);
  if (!pickle) return pickle.error();
  content.pickle = *std::move(pickle);
  const std::string data = std::string(folder) + "data/";
  for (const auto& [name, entry] : *entries) {
    if (!name.starts_with(data)) continue;
    const Result<Bytes> bytes = bytes_of(name, entry);
    if (!bytes) return bytes.error();
    content.storages.emplace(name.substr(data.size()), *bytes);
  }
  return content;
}

/// Finds the storages that follow the pickles: for each key the number of elements, then they.
Status read_legacy_storages(ByteReader reader, const Pickle& keys, Content& content) {
  std::map<std::string_view, StorageRef> refs;
  for (Id id = 0; id < content.pickle.nodes.size(); ++id) {
    if (!is_storage_ref(content.pickle, id)) continue;
    const Result<StorageRef> ref = read_storage_ref(content.pickle, id);
    if (!ref) return ref.error();
    refs.emplace(ref->key, *ref);
  }
  for (const Id id : keys[keys.root].items) {
    const auto ref = refs.find(keys[id].text);
    if (ref == refs.end())
      return corrupt(fmt::format("storage '{}' is of no tensor", printable(keys[id].text)));
    const auto count = reader.number<uint64_t>();
    const uint64_t element = graph::dtype_size(ref->second.dtype);
    const auto data =
        count && *count <= reader.rest() / element ? reader.take(*count * element) : std::nullopt;
    if (!data)
      return corrupt(
          fmt::format("storage '{}' is cut short; download the file again", printable(ref->first)));
    // The key of the tensors' pickle: that of `keys` is about to go.
    content.storages.emplace(ref->first, *data);
  }
  return {};
}

Result<Content> read_legacy(Bytes file) {
  ByteReader reader(file);
  const auto next = [&]() -> Result<Pickle> {
    Result<Pickle> pickle = read_pickle(file.subspan(reader.at()), check_torch_global);
    if (pickle) reader.take(pickle->size);
    return pickle;
  };
  const auto magic = next();
  if (!magic) return magic.error();
  if ((*magic)[magic->root].kind != Kind::kBytes || (*magic)[magic->root].text != kLegacyMagic)
    return unsupported("is a pickle, but not one that torch wrote; save the model as safetensors");
  const auto version = next();
  if (!version) return version.error();
  if ((*version)[version->root].integer != kLegacyVersion)
    return unsupported("is of a form that torch no longer writes; save it anew with torch.save");
  const auto system = next();
  if (!system) return system.error();
  const std::vector<Id>& facts = (*system)[system->root].items;
  for (size_t i = 0; i + 1 < facts.size(); i += 2) {
    const Node& value = (*system)[facts[i + 1]];
    if ((*system)[facts[i]].text == "little_endian" && value.integer == 0)
      return unsupported("was written by a big-endian machine; save it anew on another");
  }
  Content content;
  Result<Pickle> tensors = next();
  if (!tensors) return tensors.error();
  content.pickle = *std::move(tensors);
  const auto keys = next();
  if (!keys) return keys.error();
  if (Status read = read_legacy_storages(reader, *keys, content); !read) return read.error();
  return content;
}

/// Finds the tensors of what was pickled.
class Walk {
 public:
  Walk(const Pickle& pickle, TorchTensors& tensors, std::string_view file, TensorIndex& index)
      : pickle_(pickle), tensors_(tensors), file_(file), index_(index) {}

  Status run() {
    Id root = pickle_.root;
    // A whole model or a trainer's own class was pickled: its state is what there is to read.
    root = state_of(root);
    for (int depth = 0; depth < kMaxDepth; ++depth) {
      add_metadata(root);
      const auto inner = find_model(root);
      if (!inner) break;
      root = *inner;
    }
    if (is_hypernetwork(root)) {
      return unsupported(
          "is a hypernetwork; hypernetworks are not supported. A LoRA does what they did");
    }
    if (Status added = add(root, "", 0); !added) return added;
    if (index_.empty()) return unsupported("holds no tensors by names; a state dict is needed");
    return {};
  }

 private:
  /// The dictionary that an object was given as its state, else the node itself.
  Id state_of(Id id) const {
    const Node& node = pickle_[id];
    if (node.kind != Kind::kObject || node.items.size() < 3) return id;
    const Id state = node.items[2];
    // Containers of parameters have some ten attributes.
    constexpr size_t kMaxAttributes = 1000;
    if (pickle_[state].items.size() > kMaxAttributes) return state;
    const auto parameters = value(state, "_parameters");
    return parameters ? *parameters : state;
  }

  std::optional<Id> value(Id dict, std::string_view key) const {
    const Node& node = pickle_[dict];
    if (node.kind != Kind::kDict) return std::nullopt;
    for (size_t i = node.items.size(); i >= 2; i -= 2) {
      const Node& name = pickle_[node.items[i - 2]];
      if (name.kind == Kind::kText && name.text == key) return node.items[i - 1];
    }
    return std::nullopt;
  }

  bool holds_tensors(Id dict) const {
    const std::vector<Id>& items = pickle_[dict].items;
    for (size_t i = 1; i < items.size(); i += 2) {
      if (tensors_.is_tensor(items[i])) return true;
    }
    return false;
  }

  /// The dictionary in which a program keeps the model, if this is what is around it.
  std::optional<Id> find_model(Id dict) const {
    if (pickle_[dict].kind != Kind::kDict || holds_tensors(dict)) return std::nullopt;
    for (const std::string_view key : kModelKeys) {
      const auto found = value(dict, key);
      if (found && pickle_[state_of(*found)].kind == Kind::kDict) return state_of(*found);
    }
    return std::nullopt;
  }

  bool is_hypernetwork(Id root) const {
    const std::vector<Id>& items = pickle_[root].items;
    if (pickle_[root].kind != Kind::kDict) return false;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const Node &key = pickle_[items[i]], &layers = pickle_[items[i + 1]];
      if (key.kind == Kind::kInt && key.integer >= 320 &&
          (layers.kind == Kind::kTuple || layers.kind == Kind::kList))
        return true;
    }
    return false;
  }

  void add_metadata(Id dict) {
    if (pickle_[dict].kind != Kind::kDict) return;
    const std::vector<Id>& items = pickle_[dict].items;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const Node &key = pickle_[items[i]], &node = pickle_[items[i + 1]];
      if (key.kind != Kind::kText || key.text.size() > kMaxKey || node.text.size() > kMaxText)
        continue;
      if (index_.metadata.size() >= kMaxMetadata) return;
      if (node.kind == Kind::kText) {
        index_.metadata.emplace(key.text, node.text);
      } else if (node.kind == Kind::kInt) {
        index_.metadata.emplace(key.text, std::to_string(node.integer));
      }
    }
  }

  Status add_tensor(Id id, const std::string& name) {
    if (index_.size() >= kMaxTensors)
      return corrupt(fmt::format("has more than {} tensors", kMaxTensors));
    Result<TensorView> tensor = tensors_.read(id);
    if (!tensor) {
      return Error{tensor.error().code,
                   fmt::format("tensor '{}' {}", printable(name), tensor.error().message)};
    }
    return index_.add(name, *std::move(tensor), file_);
  }

  Status add(Id id, const std::string& name, int depth) {
    if (tensors_.is_tensor(id)) return add_tensor(id, name.empty() ? "tensor" : name);
    const Id inner = state_of(id);
    if (pickle_[inner].kind != Kind::kDict) return {};
    if (depth == kMaxDepth) return corrupt("nests its dictionaries too deeply");
    // A textual inversion keeps its words as tensors too: only its vectors are wanted.
    const auto embedding = depth == 0 ? value(inner, kEmbeddingKey) : std::nullopt;
    if (embedding) return add(*embedding, std::string(kEmbeddingKey), depth + 1);
    const std::vector<Id>& items = pickle_[inner].items;
    entries_ += items.size();
    if (entries_ > kMaxEntries)
      return corrupt(fmt::format("has more than {} entries", kMaxEntries));
    std::map<std::string, Id, std::less<>> last;  // of keys that come twice
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const Node& key = pickle_[items[i]];
      if (key.text.size() > kMaxKey)
        return corrupt(
            fmt::format("has a name of {} bytes: '{}'", key.text.size(), printable(key.text)));
      if (key.kind == Kind::kText) last.insert_or_assign(std::string(key.text), items[i + 1]);
      if (key.kind == Kind::kInt) last.insert_or_assign(std::to_string(key.integer), items[i + 1]);
    }
    for (const auto& [key, element] : last) {
      const std::string full = name.empty() ? key : fmt::format("{}.{}", name, key);
      if (Status added = add(element, full, depth + 1); !added) return added;
    }
    return {};
  }

  const Pickle& pickle_;
  TorchTensors& tensors_;
  std::string_view file_;
  TensorIndex& index_;
  size_t entries_ = 0;
};

Result<TensorIndex> read_torch(Bytes file, std::string_view name,
                               const std::shared_ptr<const void>& owner,
                               const MappedFile* mapping) {
  const bool zip = std::to_integer<char>(file[0]) == 'P';
  const Result<Content> content = zip ? read_zip(file) : read_legacy(file);
  if (!content) return content.error();
  TorchTensors tensors(content->pickle, content->storages, file.size(), owner, mapping);
  TensorIndex index;
  index.format = FileFormat::kTorch;
  if (Status walked = Walk(content->pickle, tensors, name, index).run(); !walked)
    return walked.error();
  return index;
}

}  // namespace

bool looks_like_torch(Bytes file) {
  // The length of a safetensors header may begin like a pickle.
  constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;
  const auto length = ByteReader(file).number<uint64_t>();
  if (length && *length <= kMaxSafetensorsHeader) return false;
  const std::string_view start(reinterpret_cast<const char*>(file.data()),
                               std::min<size_t>(file.size(), 4));
  const bool pickle = start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5;
  return pickle || start == "PK\x03\x04";
}

Result<TensorIndex> parse_torch(Bytes file, std::string_view name,
                                const std::shared_ptr<const void>& owner,
                                const MappedFile* mapping) {
  if (!looks_like_torch(file))
    return corrupt("is not a file that torch.save wrote").in(std::string(name));
  Result<TensorIndex> index = read_torch(file, name, owner, mapping);
  if (!index) return index.error().in(std::string(name));
  return index;
}

}  // namespace safelight::weights
