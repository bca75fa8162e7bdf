#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "weights/adapter.h"
#include "weights/adapter_names.h"
#include "weights/bound_weights.h"
#include "weights/changed_weight.h"

namespace safelight::weights {

/// What the adapters make of a network's weights, in their order, each from what those before it
/// left (as SD WebUI does). A weight that none of them changes, because of its factor too, is not
/// in the result. With W a weight, D the module's product, s its scale and m how strongly it acts:
///   LoRA, LoHa, LoKr, differences  W + m s D
///   with a magnitude (DoRA)        W + m (M (W + s D) / |W + s D| - W), norms over a row, or over
///                                  an input's elements where M is of the inputs
///   IA3                            W (1 + m w); PEFT's: W (1 + m (l - 1))
/// Nothing big is computed here but the norms of DoRA on inputs. Errors: kCorruptFile for a module
/// whose shape is not the layer's; kUnsupported for a module that several layers share and that
/// does not simply add.
Result<ChangedWeights> adapt(const BoundWeights& base, const AdapterNames& names,
                             std::span<const AdapterUse> uses);

/// Whether the adapter has anything for these networks, which are of `model` (for messages: "Stable
/// Diffusion 1.x"). What it has for none of them is told in the log. Errors: kUnsupported, naming
/// what the adapter is for.
Status check_adapter_fits(const Adapter& adapter, std::span<const AdapterNames* const> networks,
                          const std::string& model);

/// The modules that mean no layer of these networks, by name.
std::vector<std::string> unmatched_modules(const Adapter& adapter,
                                           std::span<const AdapterNames* const> networks);

}  // namespace safelight::weights
