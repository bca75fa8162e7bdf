#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "weights/adapter_file.h"
#include "weights/inspect.h"

namespace safelight::weights {

/// An adapter file (LoRA and its kin), opened and checked; what it changes is found out when it is
/// used with a network (weights/adapt.h). Keeps its file mapped.
class Adapter {
 public:
  /// Sorts and checks the tensors. `name` is for messages. Errors: kUnsupported where it is no
  /// adapter, or has a module of a kind that is not supported; kCorruptFile for incomplete pairs,
  /// shapes that do not fit each other, numbers that are not finite.
  static Result<std::shared_ptr<const Adapter>> make(const TensorIndex& index, std::string name);

  const std::string& name() const { return name_; }  ///< the file's, without its ending
  /// The SHA-256 of the file where it was known, else one of its tensors.
  const std::string& identity() const { return identity_; }
  const std::vector<AdapterModule>& modules() const { return file_.modules; }
  /// Textual inversions that are in the file as well.
  const std::vector<std::string>& embeddings() const { return file_.embeddings; }
  /// Tensors that are nothing of an adapter's.
  const std::vector<std::string>& unknown() const { return file_.unknown; }
  Family family() const { return family_; }

  /// What its products are multiplied by: alpha / rank, as the file or its metadata has it.
  double scale(const AdapterModule& module) const;

 private:
  Adapter() = default;

  std::string name_, identity_;
  AdapterFile file_;
  Family family_ = Family::kUnknown;
  std::map<std::string, double> scales_;  ///< by the module's name
};

/// Opens an adapter of any format that open_weights takes. `identity` is the file's SHA-256 where
/// the caller knows it. Errors: those of open_weights and Adapter::make.
Result<std::shared_ptr<const Adapter>> open_adapter(const std::filesystem::path& path,
                                                    const std::string& identity = "");

/// An adapter and how strongly it acts.
struct AdapterUse {
  std::shared_ptr<const Adapter> adapter;
  double unet = 1, text = 1;
  /// Factors of the blocks (weights/block_weights.h), or empty for 1 everywhere.
  std::vector<double> block_weights;

  friend bool operator==(const AdapterUse& a, const AdapterUse& b) {
    return a.adapter->identity() == b.adapter->identity() && a.unet == b.unet && a.text == b.text &&
           a.block_weights == b.block_weights;
  }
};

}  // namespace safelight::weights
