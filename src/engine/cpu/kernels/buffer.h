#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace safelight::engine::cpu {

/// How the CPU engine stores an element in memory. Kernels always compute in float32.
enum class Storage : uint8_t { kF32, kBF16 };

constexpr size_t storage_size(Storage storage) { return storage == Storage::kF32 ? 4 : 2; }

/// A typed pointer to elements of one storage kind. Borrowed.
struct Buffer {
  std::byte* data = nullptr;
  Storage storage = Storage::kF32;

  /// The same buffer, `elements` further on.
  Buffer at(int64_t elements) const {
    return {data + elements * static_cast<int64_t>(storage_size(storage)), storage};
  }
};

/// `rows` rows of `columns` contiguous elements, row r starting r * stride elements into the
/// buffer.
struct Rows {
  Buffer buffer;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;
};

constexpr int kMaxRank = 6;

/// A view of up to kMaxRank dimensions, outermost first; strides in elements, 0 where a dimension
/// is broadcast.
struct StridedView {
  Buffer buffer;
  int rank = 0;
  std::array<int64_t, kMaxRank> sizes{};
  std::array<int64_t, kMaxRank> strides{};
};

}  // namespace safelight::engine::cpu
