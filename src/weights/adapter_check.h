#pragma once

#include "base/result.h"
#include "weights/adapter_file.h"

namespace safelight::weights {

/// Whether the module's tensors are all there, of real numbers, finite, and of shapes that fit each
/// other. Reads every element. Errors: kCorruptFile; kUnsupported for a kind that we do not apply.
Status check_adapter_module(const AdapterModule& module);

}  // namespace safelight::weights
