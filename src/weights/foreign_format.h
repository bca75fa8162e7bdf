#pragma once

#include <optional>

#include "base/file.h"
#include "base/result.h"

namespace safelight::weights {

/// What to say of a file that is no safetensors file when its first bytes show what it is instead:
/// kUnsupported for GGUF and torch pickles, kCorruptFile for a web page, a Git LFS pointer or JSON
/// text. Nothing when they are not known.
std::optional<Error> recognise_foreign_format(Bytes file);

}  // namespace safelight::weights
