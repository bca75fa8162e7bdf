#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/file.h"
#include "base/result.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// Reads the safetensors format (huggingface/safetensors, README "Format"): a little-endian u64
/// header length, a JSON header, then the tensors' bytes without holes or overlaps. Stricter than
/// the reference where that costs no real file anything: rank at most 8, names unique.
/// `name` stands before each message; `owner` is what keeps `file` alive, `mapping` the file that
/// it is mapped from, if it is. Never reads the tensors. Errors: kCorruptFile naming the tensor;
/// kUnsupported for a dtype that we lack and for files of another known format (GGUF, torch
/// pickle).
Result<TensorIndex> parse_safetensors(Bytes file, std::string_view name,
                                      const std::shared_ptr<const void>& owner = nullptr,
                                      const MappedFile* mapping = nullptr);

/// Maps one .safetensors file and parses it; messages name it by its file name.
/// Errors: those of MappedFile::open and parse_safetensors.
Result<TensorIndex> open_safetensors(const std::filesystem::path& path);

/// A tensor of a file to be written.
struct StoredTensor {
  std::string_view name;
  graph::DType dtype = graph::DType::kF32;
  std::vector<int64_t> shape;

  uint64_t bytes() const {
    return static_cast<uint64_t>(Tensor::count(shape)) / graph::dtype_block(dtype) *
           graph::dtype_size(dtype);
  }
};

/// What stands before the tensors in a safetensors file, which then follow in their order without
/// holes. Each is aligned to its element if larger elements come first. Errors: kInvalidArgument
/// for the reserved name `__metadata__`.
Result<std::string> safetensors_header(const std::vector<StoredTensor>& tensors,
                                       const TensorIndex::Metadata& metadata);

/// Writes one safetensors file atomically, larger element types first and by name among equals, so
/// that every tensor is aligned to its element. Errors: those of safetensors_header and AtomicFile.
Status write_safetensors(const std::filesystem::path& path, const TensorIndex::Map& tensors,
                         const TensorIndex::Metadata& metadata = {});

}  // namespace safelight::weights
