#include "weights/scaled_floats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weights/convert.h"
#include "weights/messages.h"

namespace safelight::weights {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kScales[] = {".scale_weight", ".weight_scale", ".weight_scale_inv"};
/// What only arithmetic in 8 bits needs.
constexpr std::string_view kOthers[] = {".scale_input", ".input_scale", ".comfy_quant"};
constexpr std::string_view kMarker = "scaled_fp8";

bool is_f8(const TensorView* tensor) {
  return tensor != nullptr &&
         (tensor->dtype == graph::DType::kF8E4M3 || tensor->dtype == graph::DType::kF8E5M2);
}

/// The weight beside a tensor named `<layer><suffix>`; empty when the name is another.
std::string weight_beside(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return {};
  return std::string(name.substr(0, name.size() - suffix.size())).append(kWeight);
}

Status attach(TensorIndex& index, const std::string& name, const std::string& weight_name) {
  const TensorView& scale = *index.find(name);
  TensorView weight = *index.find(weight_name);
  const int64_t rows = weight.shape.empty() ? 1 : weight.shape[0];
  if (!graph::is_floating(scale.dtype) || (scale.count() != 1 && scale.count() != rows)) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("tensor '{}' is of type {} and shape {}; one real number, or one for "
                             "each of the {} rows of '{}' is read",
                             printable(name), graph::dtype_name(scale.dtype),
                             shape_text(scale.shape), rows, printable(weight_name))};
  }
  std::vector<float> values(static_cast<size_t>(scale.count()));
  to_f32(scale, values);
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' holds NaN or infinite values", printable(name))};
  }
  weight.scales = std::make_shared<const std::vector<float>>(std::move(values));
  index.replace(weight_name, std::move(weight));
  return {};
}

}  // namespace

Status attach_scales(TensorIndex& index) {
  std::vector<std::pair<std::string, std::string>> scales;  // and their weights
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : index) {
    for (const std::string_view suffix : kScales) {
      std::string weight = weight_beside(name, suffix);
      if (is_f8(index.find(weight))) scales.emplace_back(name, std::move(weight));
    }
    for (const std::string_view suffix : kOthers) {
      if (is_f8(index.find(weight_beside(name, suffix)))) unused.push_back(name);
    }
    const bool marks = name == kMarker || name.ends_with(".scaled_fp8");
    if (marks && is_f8(&tensor)) unused.push_back(name);
  }
  for (const auto& [name, weight] : scales) {
    if (Status attached = attach(index, name, weight); !attached)
      return attached.error().in(std::string(index.source_file(name)));
    unused.push_back(name);
  }
  for (const std::string& name : unused) index.erase(name);
  return {};
}

}  // namespace safelight::weights
