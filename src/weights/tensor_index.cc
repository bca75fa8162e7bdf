#include "weights/tensor_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "weights/messages.h"

namespace safelight::weights {

Status TensorIndex::add(std::string name, TensorView tensor, std::string_view file) {
  if (const auto known = tensors_.find(name); known != tensors_.end()) {
    const std::string_view first = source_file(name);
    return Error{
        ErrorCode::kCorruptFile,
        fmt::format("{}: tensor '{}' is there already{}; names must be unique", file,
                    printable(name), first == file ? "" : fmt::format(", from {}", first))};
  }
  file_of_.emplace(name, file_number(file));
  tensors_.emplace(std::move(name), std::move(tensor));
  return {};
}

Status TensorIndex::merge(TensorIndex other, std::string_view prefix) {
  for (const auto& [name, tensor] : other.tensors_) {
    if (Status added = add(fmt::format("{}{}", prefix, name), tensor, other.source_file(name));
        !added) {
      return added;
    }
  }
  metadata.merge(other.metadata);
  return {};
}

void TensorIndex::replace(std::string_view name, TensorView tensor) {
  tensors_.find(name)->second = std::move(tensor);
}

void TensorIndex::erase(std::string_view name) {
  if (const auto found = tensors_.find(name); found != tensors_.end()) tensors_.erase(found);
  if (const auto found = file_of_.find(name); found != file_of_.end()) file_of_.erase(found);
}

const TensorView* TensorIndex::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

std::string_view TensorIndex::source_file(std::string_view name) const {
  const auto found = file_of_.find(name);
  return found == file_of_.end() ? std::string_view() : files_[found->second];
}

uint64_t TensorIndex::total_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, tensor] : tensors_) total += tensor.data.size();
  return total;
}

std::optional<graph::DType> TensorIndex::predominant_dtype() const {
  std::map<graph::DType, int64_t> elements;
  for (const auto& [name, tensor] : tensors_) elements[tensor.dtype] += tensor.count();
  const auto most =
      std::max_element(elements.begin(), elements.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == elements.end()) return std::nullopt;
  return most->first;
}

size_t TensorIndex::file_number(std::string_view file) {
  // Tensors come file by file, so the last one is nearly always it.
  const auto known = std::find(files_.rbegin(), files_.rend(), file);
  if (known != files_.rend()) return static_cast<size_t>(files_.rend() - known) - 1;
  files_.emplace_back(file);
  return files_.size() - 1;
}

}  // namespace safelight::weights
