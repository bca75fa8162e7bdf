#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "weights/tensor_index.h"

namespace safelight::weights {

/// A safetensors file in memory: the length of `header`, `header`, and `data_size` zero bytes.
inline std::string file_bytes(std::string_view header, size_t data_size = 0) {
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof(length));
  return file.append(header).append(data_size, '\0');
}

inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// A folder of the test's own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string form = (std::filesystem::temp_directory_path() / "safelight-XXXXXX").string();
    path_ = ::mkdtemp(form.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// A view of `shape` without bytes, for what looks at names and shapes alone.
inline TensorView shape_only(std::vector<int64_t> shape) {
  return {.dtype = graph::DType::kF16, .shape = std::move(shape), .data = {}, .owner = nullptr};
}

}  // namespace safelight::weights
