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

/// Which of the tensors hold NaN or infinite values, by index. Reads every byte, with all
/// processors, and keeps none of it in memory.
std::vector<bool> find_non_finite(const std::vector<const TensorView*>& tensors) {
  std::vector<std::atomic<bool>> found(tensors.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < tensors.size(); i = next++) {
      found[i] = has_non_finite(*tensors[i]);
      tensors[i]->release_pages();
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

uint64_t BoundWeights::bytes() const {
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor.data.size();
  return total;
}

Result<BoundWeights> bind(const std::vector<Param>& params, const TensorIndex& index,
                          const NameInFile& name_in_file, const std::string& what) {
  std::vector<std::string> names;
  std::vector<const TensorView*> tensors;
  for (const Param& param : params) {
    const std::string& name = names.emplace_back(name_in_file(param.name));
    const TensorView* tensor = index.find(name);
    if (tensor == nullptr) {
      return Error{ErrorCode::kCorruptFile, fmt::format("tensor '{}' [{}] is missing; {} needs it",
                                                        name, fmt::join(param.shape, ", "), what)};
    }
    if (Status good = check(*tensor, param, name, what); !good) {
      return good.error().in(std::string(index.source_file(name)));
    }
    tensors.push_back(tensor);
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
    TensorView view = *tensors[i];
    view.shape = params[i].shape;
    bound.insert(params[i].name, std::move(view));
  }
  return bound;
}

}  // namespace safelight::weights
