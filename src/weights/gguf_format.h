#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "graph/dtype.h"

namespace safelight::weights {

// What reader and writer of GGUF share (ggml's docs/gguf.md).

constexpr std::string_view kGgufMagic = "GGUF";
constexpr uint32_t kGgufVersion = 3;
constexpr uint64_t kGgufAlignment = 32;
constexpr std::string_view kGgufAlignmentKey = "general.alignment";
constexpr std::string_view kGgufArchitectureKey = "general.architecture";
constexpr std::string_view kGgufFileTypeKey = "general.file_type";
constexpr std::string_view kGgufQuantizationKey = "general.quantization_version";
/// ComfyUI-GGUF stores tensors whose rows no block divides in another shape; this tells their own.
constexpr std::string_view kGgufShapePrefix = "comfy.gguf.orig_shape.";

enum class GgufValue : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64
};

/// The number that GGUF has for a type, or nothing.
std::optional<uint32_t> gguf_type_of(graph::DType type);
/// The type of a number, or nothing for one that is not read.
std::optional<graph::DType> dtype_of_gguf(uint32_t type);
/// ggml's name of a type that is not read, for messages; empty for an unknown one.
std::string_view foreign_gguf_type(uint32_t type);

}  // namespace safelight::weights
