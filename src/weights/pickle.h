#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace safelight::weights {

/// A pickle read as data: what it would call is kept as a name with its arguments, and never
/// called. Nodes refer to each other by number, so that cycles are harmless.
struct Pickle {
  using Id = uint32_t;

  enum class Kind : uint8_t {
    kNone,
    kBool,        ///< integer: 0 or 1
    kInt,         ///< integer
    kFloat,       ///< real
    kText,        ///< text, as it lies in the file
    kBytes,       ///< text; also an integer of more than 64 bits, little-endian
    kTuple,       ///< items
    kList,        ///< items; sets too
    kDict,        ///< items: key, value, key, value; a later key replaces an earlier one
    kGlobal,      ///< text: the name, module: its module
    kObject,      ///< items: what would be called, its arguments and, if any, the state to set
    kPersistent,  ///< items: the identity of something outside the pickle
  };

  struct Node {
    Kind kind = Kind::kNone;
    int64_t integer = 0;
    double real = 0;
    std::string_view text = {}, module = {};
    std::vector<Id> items = {};
  };

  std::vector<Node> nodes;
  Id root = 0;
  size_t size = 0;  ///< bytes up to its end

  const Node& operator[](Id id) const { return nodes[id]; }
};

/// Whether a pickle may name that global. Errors are those of read_pickle.
using GlobalCheck = std::function<Status(std::string_view module, std::string_view name)>;

/// Reads the pickle at the front of `bytes` (protocols 0 to 5, Python's pickletools.py), whose
/// texts stay in them. Stack, values and work are bounded. Errors: kCorruptFile with the byte;
/// those of `check` for a global; kUnsupported for opcodes that need a program.
Result<Pickle> read_pickle(Bytes bytes, const GlobalCheck& check);

}  // namespace safelight::weights
