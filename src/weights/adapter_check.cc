#include "weights/adapter_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <tuple>

#include "weights/convert.h"
#include "weights/messages.h"
#include "weights/scope.h"

namespace safelight::weights {
namespace {

constexpr int64_t kMostRank = 1 << 14;  // far above any adapter's; products take time with it
constexpr size_t kMostDimensions = 5;

Error corrupt(const AdapterModule& module, const std::string& what) {
  return {ErrorCode::kCorruptFile,
          fmt::format("adapter module '{}' {}", printable(module.name, 200), what)};
}

/// Each of these parts is there.
Status require(const AdapterModule& module, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    if (module.part(part) != nullptr) continue;
    std::string there;
    for (const auto& [what, tensor] : module.parts) there += (there.empty() ? "" : ", ") + what;
    return corrupt(module, fmt::format("lacks its part '{}'; it has {}. Was the file cut short?",
                                       part, there));
  }
  return {};
}

/// The product a x b can be formed: a is [m, r, 1...], b is [r, n...]; with `turned` a is [r, m].
Status check_product(const AdapterModule& module, std::string_view a, std::string_view b,
                     bool turned = false) {
  if (Status there = require(module, {a, b}); !there) return there;
  const TensorView &left = *module.part(a), &right = *module.part(b);
  const int64_t inner = dimension(&left, turned ? 0 : 1), rank = dimension(&right, 0);
  const bool plain =
      left.shape.size() >= 2 && right.shape.size() >= 2 &&
      std::all_of(left.shape.begin() + 2, left.shape.end(), [](int64_t size) { return size == 1; });
  if (plain && inner == rank && rank <= kMostRank) return {};
  return corrupt(module,
                 fmt::format("has parts '{}' {} and '{}' {}, which are no product of a "
                             "rank up to {}",
                             a, shape_text(left.shape), b, shape_text(right.shape), kMostRank));
}

/// The core of a Tucker product is [r, r, ...] for the factor's r.
Status check_core(const AdapterModule& module, std::string_view core, std::string_view factor) {
  const TensorView &tensor = *module.part(core), &right = *module.part(factor);
  const int64_t rank = dimension(&right, 0);
  if (tensor.shape.size() > 2 && tensor.shape[0] == rank && tensor.shape[1] == rank &&
      right.count() == rank * dimension(&right, 1))
    return {};
  return corrupt(module, fmt::format("has a core '{}' {} that does not fit '{}' {}", core,
                                     shape_text(tensor.shape), factor, shape_text(right.shape)));
}

Status check_lora(const AdapterModule& module) {
  if (Status good = check_product(module, "up", "down"); !good) return good;
  return module.part("mid") != nullptr ? check_core(module, "mid", "down") : Status();
}

Status check_loha(const AdapterModule& module) {
  const bool core = module.part("t1") != nullptr || module.part("t2") != nullptr;
  for (const auto& [a, b, t] :
       {std::tuple("w1_a", "w1_b", "t1"), std::tuple("w2_a", "w2_b", "t2")}) {
    if (Status good = check_product(module, a, b, core); !good) return good;
    if (!core) continue;
    if (Status there = require(module, {t}); !there) return there;
    if (Status good = check_core(module, t, b); !good) return good;
  }
  return {};
}

Status check_lokr(const AdapterModule& module) {
  for (const std::string factor : {"w1", "w2"}) {
    if (const TensorView* const whole = module.part(factor)) {
      if (whole->shape.size() < 2) return corrupt(module, "has a factor that is no matrix");
      continue;
    }
    const bool core = factor == "w2" && module.part("t2") != nullptr;
    if (Status good = check_product(module, factor + "_a", factor + "_b", core); !good) return good;
    if (!core) continue;
    if (Status good = check_core(module, "t2", "w2_b"); !good) return good;
  }
  const TensorView* const first = module.part("w1");
  if (first != nullptr && first->count() != first->shape[0] * first->shape[1])
    return corrupt(module, fmt::format("has a first factor of shape {}", shape_text(first->shape)));
  return {};
}

Status check_kind(const AdapterModule& module) {
  switch (module.kind) {
    case AdapterKind::kLora:
      return check_lora(module);
    case AdapterKind::kLoha:
      return check_loha(module);
    case AdapterKind::kLokr:
      return check_lokr(module);
    case AdapterKind::kIa3:
      return module.part("ia3_l") != nullptr ? Status() : require(module, {"weight", "on_input"});
    case AdapterKind::kDiff:
    case AdapterKind::kNorm:
      return {};
    case AdapterKind::kUnknown:
    case AdapterKind::kOft:
    case AdapterKind::kGlora:
      break;
  }
  return Error{ErrorCode::kUnsupported,
               fmt::format("module '{}' is of kind {}, which is not supported; LoRA, DoRA, LoHa, "
                           "LoKr, IA3, full differences and norms are",
                           printable(module.name, 200), name_of(module.kind))};
}

bool may_be_whole(std::string_view part) {
  return part == "alpha" || part == "on_input" || part == "reshape";
}

}  // namespace

Status check_adapter_module(const AdapterModule& module) {
  for (const auto& [part, tensor] : module.parts) {
    const bool sizes = std::all_of(tensor.shape.begin(), tensor.shape.end(),
                                   [](int64_t size) { return size > 0; });
    if (!sizes || tensor.shape.size() > kMostDimensions)
      return corrupt(module,
                     fmt::format("has a part '{}' of shape {}", part, shape_text(tensor.shape)));
    if (!graph::is_floating(tensor.dtype) && !may_be_whole(part)) {
      return corrupt(module, fmt::format("has a part '{}' of type {}; real numbers are needed",
                                         part, graph::dtype_name(tensor.dtype)));
    }
    if (has_non_finite(tensor))
      return corrupt(module, fmt::format("has NaN or infinite values in its part '{}'", part));
    tensor.release_pages();
  }
  for (const std::string_view part : {"alpha", "on_input"}) {
    const TensorView* const tensor = module.part(part);
    if (tensor != nullptr && tensor->count() != 1)
      return corrupt(module, fmt::format("has an '{}' of shape {}; one number is needed", part,
                                         shape_text(tensor->shape)));
  }
  return check_kind(module);
}

}  // namespace safelight::weights
