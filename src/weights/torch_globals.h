#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "graph/dtype.h"

namespace safelight::weights {

/// Whether a file of tensors may name that global. None is ever called: the list is there so that
/// a file made to run code is refused by name instead of read around. Errors: kUnsupported.
Status check_torch_global(std::string_view module, std::string_view name);

/// The type of the elements of "torch.HalfStorage", and of an untyped storage its bytes; nothing
/// for others.
std::optional<graph::DType> storage_dtype(std::string_view module, std::string_view name);

/// The type that "torch.float16" names; nothing for others.
std::optional<graph::DType> torch_dtype(std::string_view module, std::string_view name);

}  // namespace safelight::weights
