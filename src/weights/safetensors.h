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

/// Writes one safetensors file atomically, larger element types first and by name among equals, so
/// that every tensor is aligned to its element. The whole file is built in memory first.
/// Errors: kInvalidArgument for the reserved name `__metadata__`; those of write_file_atomically.
Status write_safetensors(const std::filesystem::path& path, const TensorIndex::Map& tensors,
                         const TensorIndex::Metadata& metadata = {});

}  // namespace safelight::weights
