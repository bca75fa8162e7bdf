#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/inspect.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// A network (or an adapter's share for one) found in a file: the tensors under `prefix`.
struct Network {
  std::string component;  ///< As in ComponentReport::name.
  std::string prefix;     ///< Empty when the file is this network alone.
};

/// What names and shapes tell of a file.
struct Identity {
  FileKind kind = FileKind::kUnknown;
  Family family = Family::kUnknown;
  Dialect dialect = Dialect::kUnknown;
  std::vector<Network> networks;

  /// The component that a tensor belongs to: that of the longest prefix, else "other".
  std::string_view component_of(std::string_view tensor) const;
};

/// Recognises a file by its tensors' names and shapes. Never fails: what is not known stays
/// kUnknown.
Identity identify(const TensorIndex& index);

}  // namespace safelight::weights
