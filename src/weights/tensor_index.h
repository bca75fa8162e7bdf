#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weights/tensor_view.h"

namespace safelight::weights {

/// How the tensors lie on the disk.
enum class FileFormat { kSafetensors, kShardedSafetensors, kDiffusersFolder, kTorch, kGguf };

/// The tensors of a model by name, over one or more files; no bytes are copied, the views keep the
/// files mapped. What every reader yields and every binder reads.
class TensorIndex {
 public:
  using Map = std::map<std::string, TensorView, std::less<>>;
  /// The key-value texts that a file tells about itself (safetensors' `__metadata__`).
  using Metadata = std::map<std::string, std::string, std::less<>>;
  /// A component's name ("unet", "vae", ...) to its config.json.
  using Configs = std::map<std::string, boost::json::value, std::less<>>;

  /// Adds a tensor read from `file`. Errors: kCorruptFile when the name is taken, naming both
  /// files.
  Status add(std::string name, TensorView tensor, std::string_view file);

  /// Adds all of `other` with `prefix` before each name; its metadata is kept where the key is new.
  /// Configs are not taken. Errors: as add().
  Status merge(TensorIndex other, std::string_view prefix = "");

  /// Replaces the tensor of a name that is there.
  void replace(std::string_view name, TensorView tensor);
  /// Takes a tensor out.
  void erase(std::string_view name);

  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// The file that holds the tensor, as it is to be named in messages; empty for an unknown name.
  std::string_view source_file(std::string_view name) const;

  /// The files in the order in which they were added.
  const std::vector<std::string>& files() const { return files_; }

  /// Iteration in name order (bytewise): for (const auto& [name, tensor] : index).
  Map::const_iterator begin() const { return tensors_.begin(); }
  Map::const_iterator end() const { return tensors_.end(); }
  size_t size() const { return tensors_.size(); }
  bool empty() const { return tensors_.empty(); }

  /// The SHA-256 of the file that a component came from; empty where it is not known.
  const std::string& identity_of(std::string_view component) const {
    const auto own = identities.find(component);
    return own == identities.end() ? identity : own->second;
  }

  /// Bytes of all tensors.
  uint64_t total_bytes() const;

  /// The dtype that holds most elements; nothing when there are none.
  std::optional<graph::DType> predominant_dtype() const;

  FileFormat format = FileFormat::kSafetensors;
  std::string identity;  ///< the SHA-256 of the file, where somebody knows it
  /// The same for components ("unet", "vae", ...) that came from files of their own.
  std::map<std::string, std::string, std::less<>> identities;
  Metadata metadata;
  Configs configs;

 private:
  size_t file_number(std::string_view file);

  Map tensors_;
  std::vector<std::string> files_;
  std::map<std::string, size_t, std::less<>> file_of_;
};

}  // namespace safelight::weights
