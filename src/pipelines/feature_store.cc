#include "pipelines/feature_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "weights/convert.h"

namespace safelight::pipelines {
namespace {

Error file_error(const std::string& what) {
  return {ErrorCode::kIo,
          fmt::format("{}: {} ({}), for features that --max-memory has no room for. Set TMPDIR to "
                      "a folder with more room",
                      std::filesystem::temp_directory_path().string(), what, std::strerror(errno))};
}

/// A file that goes with its descriptor.
Result<int> open_nameless() {
  std::string path = (std::filesystem::temp_directory_path() / "safelight-XXXXXX").string();
  const int file = ::mkstemp(path.data());
  if (file < 0) return file_error("a temporary file cannot be made");
  ::unlink(path.c_str());
  return file;
}

/// Calls transfer(position, offset in the file, bytes) until all is moved; false where it fails.
template <class Transfer>
bool move_all(size_t bytes, size_t offset, Transfer transfer) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t moved = transfer(done, static_cast<off_t>(offset + done), bytes - done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return false;
    done += static_cast<size_t>(moved);
  }
  return true;
}

}  // namespace

Result<FeatureStore> FeatureStore::make(engine::Engine& engine, int64_t rows, int64_t width,
                                        int64_t channels) {
  FeatureStore store;
  store.rows_ = rows;
  store.width_ = width;
  store.channels_ = channels;
  store.half_ = engine.device().precision == engine::Precision::kBF16;
  const size_t bytes = static_cast<size_t>(rows) * store.row_bytes();
  if (auto reserved = engine.reserve(bytes)) {
    store.reservation_ = std::move(*reserved);
    store.memory_.resize(bytes);
    return store;
  }
  const Result<int> file = open_nameless();
  if (!file) return file.error();
  store.file_ = *file;
  return store;
}

FeatureStore::FeatureStore(FeatureStore&& other) noexcept { *this = std::move(other); }

FeatureStore& FeatureStore::operator=(FeatureStore&& other) noexcept {
  std::swap(rows_, other.rows_);
  std::swap(width_, other.width_);
  std::swap(channels_, other.channels_);
  std::swap(half_, other.half_);
  std::swap(reservation_, other.reservation_);
  std::swap(memory_, other.memory_);
  std::swap(file_, other.file_);
  return *this;
}

FeatureStore::~FeatureStore() {
  if (file_ >= 0) ::close(file_);
}

size_t FeatureStore::row_bytes() const {
  return static_cast<size_t>(width_ * channels_) * (half_ ? 2 : 4);
}

Result<Tensor> FeatureStore::read(int64_t first, int64_t count) const {
  Tensor features({count * width_, channels_});
  const size_t bytes = static_cast<size_t>(count) * row_bytes(),
               offset = static_cast<size_t>(first) * row_bytes();
  std::vector<std::byte> buffer;
  const std::byte* stored = memory_.data() + offset;
  if (file_ >= 0) {
    buffer.resize(bytes);
    stored = buffer.data();
    if (!move_all(bytes, offset, [&](size_t done, off_t place, size_t rest) {
          return ::pread(file_, buffer.data() + done, rest, place);
        })) {
      return file_error("the temporary file cannot be read");
    }
  }
  const weights::TensorView view{
      half_ ? graph::DType::kBF16 : graph::DType::kF32, features.shape, {stored, bytes}};
  weights::to_f32(view, features.data);
  return features;
}

Status FeatureStore::write(int64_t first, int64_t count, const Tensor& features, int64_t from) {
  const size_t bytes = static_cast<size_t>(count) * row_bytes(),
               offset = static_cast<size_t>(first) * row_bytes();
  const auto elements = static_cast<size_t>(count * width_ * channels_);
  const float* source = features.begin() + from * width_ * channels_;
  std::vector<std::byte> buffer;
  std::byte* target = memory_.data() + offset;
  if (file_ >= 0) {
    buffer.resize(bytes);
    target = buffer.data();
  }
  if (half_) {
    const weights::TensorView view{graph::DType::kF32,
                                   {static_cast<int64_t>(elements)},
                                   {reinterpret_cast<const std::byte*>(source), 4 * elements}};
    weights::to_bf16(view, {reinterpret_cast<uint16_t*>(target), elements});
  } else {
    std::memcpy(target, source, bytes);
  }
  if (file_ >= 0 && !move_all(bytes, offset, [&](size_t done, off_t place, size_t rest) {
        return ::pwrite(file_, buffer.data() + done, rest, place);
      })) {
    return file_error("the temporary file cannot be written");
  }
  return {};
}

}  // namespace safelight::pipelines
