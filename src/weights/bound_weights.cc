#include "weights/bound_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <thread>

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
  return {};
}

/// The part of a tensor that a place names, in the file's type.
Result<TensorView> part_of(const TensorView& tensor, const TensorPlace& place,
                           const std::string& what) {
  if (place.parts == 1) return tensor;
  const auto parts = static_cast<size_t>(place.parts), part = static_cast<size_t>(place.part);
  const auto block = static_cast<int64_t>(graph::dtype_block(tensor.dtype));
  const bool divides = !tensor.shape.empty() && tensor.shape[0] % place.parts == 0 &&
                       tensor.count() / place.parts % block == 0;
  if (!divides) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' has shape [{}]; {} needs one of {} equal parts",
                             place.name, fmt::join(tensor.shape, ", "), what, place.parts)};
  }
  TensorView view = tensor;
  view.shape[0] /= place.parts;
  const size_t size = tensor.data.size() / parts;
  view.data = tensor.data.subspan(part * size, size);
  if (tensor.scales && tensor.scales->size() > 1) {
    const auto rows = static_cast<std::ptrdiff_t>(view.shape[0]);
    const auto first = tensor.scales->begin() + rows * place.part;
    view.scales = std::make_shared<const std::vector<float>>(first, first + rows);
  }
  return view;
}

/// A matrix the other way round, as float32 in memory. Its shape was checked.
TensorView transposed(const TensorView& matrix) {
  const Tensor from = to_tensor(matrix);
  const auto rows = static_cast<size_t>(from.shape[0]),
             columns = static_cast<size_t>(from.shape[1]);
  Tensor to({from.shape[1], from.shape[0]});
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column)
      to.data[column * rows + row] = from.data[row * columns + column];
  }
  return view_of(std::move(to));
}

/// The view of a param, checked but for its values.
Result<TensorView> find_param(const Param& param, const TensorIndex& index,
                              const TensorPlace& place, const std::string& what) {
  const TensorView* tensor = index.find(place.name);
  if (tensor == nullptr) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("tensor '{}' [{}] is missing; {} needs it", place.name,
                             fmt::join(param.shape, ", "), what)};
  }
  const auto located = [&](const Error& error) {
    return error.in(std::string(index.source_file(place.name)));
  };
  Result<TensorView> view = part_of(*tensor, place, what);
  if (!view) return located(view.error());
  Param kept = param;
  if (place.transposed) std::reverse(kept.shape.begin(), kept.shape.end());
  if (Status good = check(*view, kept, place.name, what); !good) return located(good.error());
  view->shape = kept.shape;
  return place.transposed ? transposed(*view) : std::move(*view);
}

/// Which of the tensors hold NaN or infinite values, by index. Reads every byte, with all
/// processors, and keeps none of it in memory.
std::vector<bool> find_non_finite(const std::vector<TensorView>& tensors) {
  std::vector<std::atomic<bool>> found(tensors.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < tensors.size(); i = next++) {
      found[i] = has_non_finite(tensors[i]);
      tensors[i].release_pages();
    }
  };
  {
    std::vector<std::jthread> others(std::max(1U, std::thread::hardware_concurrency()) - 1);
    for (std::jthread& thread : others) thread = std::jthread(work);
    work();
  }
  return {found.begin(), found.end()};
}

}  // namespace

std::vector<std::string> BoundWeights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

uint64_t BoundWeights::bytes() const {
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor.data.size();
  return total;
}

Result<BoundWeights> bind(const std::vector<Param>& params, const TensorIndex& index,
                          const NameInFile& name_in_file, const std::string& what) {
  std::vector<std::string> names;
  std::vector<TensorView> tensors;
  for (const Param& param : params) {
    const TensorPlace place = name_in_file(param.name);
    Result<TensorView> view = find_param(param, index, place, what);
    if (!view) return view.error();
    tensors.push_back(std::move(*view));
    names.push_back(place.name);
  }
  const std::vector<bool> non_finite = find_non_finite(tensors);
  BoundWeights bound;
  for (size_t i = 0; i < params.size(); ++i) {
    if (non_finite[i]) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("tensor '{}' holds NaN or infinite values. Was the file cut short "
                               "or badly merged?",
                               names[i])}
          .in(std::string(index.source_file(names[i])));
    }
    bound.insert(params[i].name, std::move(tensors[i]));
  }
  return bound;
}

}  // namespace safelight::weights
