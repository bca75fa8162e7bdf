#include "weights/foreign_format.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"

namespace safelight::weights {
namespace {

using std::string_view_literals::operator""sv;

struct Signature {
  std::string_view start;
  ErrorCode code;
  const char* message;
};

constexpr const char* kWebPage = "looks like a web page, not a model: download the file itself";
constexpr const char* kPickle =
    "is a torch pickle (.ckpt, .pt, .bin) where a safetensors file is needed";

/// Compared in lower case, after a byte order mark and white space.
constexpr Signature kTextSignatures[] = {
    {"version https://git-lfs"sv, ErrorCode::kCorruptFile,
     "is a Git LFS pointer, not the model itself: download the file itself (git lfs pull)"},
    {"<!doctype"sv, ErrorCode::kCorruptFile, kWebPage},
    {"<html"sv, ErrorCode::kCorruptFile, kWebPage},
    {"<?xml"sv, ErrorCode::kCorruptFile, kWebPage},
    {"{"sv, ErrorCode::kCorruptFile,
     "is JSON text, not a model: give the .safetensors file, its .safetensors.index.json or the "
     "folder of model_index.json"},
};

constexpr Signature kBinarySignatures[] = {
    {"GGUF"sv, ErrorCode::kUnsupported, "is a GGUF file where a safetensors file is needed"},
    {"PK\x03\x04"sv, ErrorCode::kUnsupported, kPickle},
    {"\x80\x02"sv, ErrorCode::kUnsupported, kPickle},
    {"\x80\x03"sv, ErrorCode::kUnsupported, kPickle},
    {"\x80\x04"sv, ErrorCode::kUnsupported, kPickle},
    {"\x80\x05"sv, ErrorCode::kUnsupported, kPickle},
};

template <size_t n>
std::optional<Error> match(std::string_view start, const Signature (&signatures)[n]) {
  for (const Signature& signature : signatures) {
    if (start.starts_with(signature.start)) return Error{signature.code, signature.message};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> recognise_foreign_format(Bytes file) {
  constexpr size_t kLookedAt = 256;
  std::string_view start(reinterpret_cast<const char*>(file.data()),
                         std::min(file.size(), kLookedAt));
  if (auto binary = match(start, kBinarySignatures)) return binary;
  if (start.starts_with("\xEF\xBB\xBF"sv)) start.remove_prefix(3);
  start.remove_prefix(std::min(start.find_first_not_of(" \t\r\n"), start.size()));
  return match(ascii_lower(start), kTextSignatures);
}

}  // namespace safelight::weights
