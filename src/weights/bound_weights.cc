#include "weights/bound_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "weights/convert.h"

namespace safelight::weights {
namespace {

std::vector<int64_t> without_ones(const std::vector<int64_t>& shape) {
  std::vector<int64_t> rest;
  for (const int64_t size : shape) {
    if (size != 1) rest.push_back(size);
  }
  return rest;
}

Status check(const TensorView& tensor, const Param& param, const std::string& name,
             const std::string& what) {
  if (without_ones(tensor.shape) != without_ones(param.shape)) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' has shape [{}]; {} needs [{}]", name,
                             fmt::join(tensor.shape, ", "), what, fmt::join(param.shape, ", "))};
  }
  if (!graph::is_floating(tensor.dtype)) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' has type {}; {} needs real numbers", name,
                             graph::dtype_name(tensor.dtype), what)};
  }
  if (has_non_finite(tensor)) {
    return Error{
        ErrorCode::kCorruptFile,
        fmt::format(
            "tensor '{}' holds NaN or infinite values. Was the file cut short or badly merged?",
            name)};
  }
  return {};
}

}  // namespace

uint64_t BoundWeights::bytes() const {
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor.data.size();
  return total;
}

Result<BoundWeights> bind(const std::vector<Param>& params, const TensorIndex& index,
                          const NameInFile& name_in_file, const std::string& what) {
  BoundWeights bound;
  for (const Param& param : params) {
    const std::string name = name_in_file(param.name);
    const TensorView* tensor = index.find(name);
    if (tensor == nullptr) {
      return Error{ErrorCode::kCorruptFile, fmt::format("tensor '{}' [{}] is missing; {} needs it",
                                                        name, fmt::join(param.shape, ", "), what)};
    }
    if (Status good = check(*tensor, param, name, what); !good) {
      return good.error().in(std::string(index.source_file(name)));
    }
    TensorView view = *tensor;
    view.shape = param.shape;
    bound.insert(param.name, std::move(view));
  }
  return bound;
}

}  // namespace safelight::weights
