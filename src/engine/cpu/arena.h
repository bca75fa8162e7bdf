#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace safelight::engine::cpu {

/// Memory that grows to the largest request.
class Arena {
 public:
  /// `total`: where the bytes of all arenas of an engine are counted, by one thread at a time; may
  /// be null.
  explicit Arena(std::shared_ptr<uint64_t> total = nullptr)
      : data_(nullptr, Free{std::move(total)}) {}

  /// At least `bytes`, aligned for every kernel. Throws std::bad_alloc.
  std::byte* reserve(size_t bytes);
  void release() { data_.reset(); }
  size_t size() const { return data_.get_deleter().size; }

 private:
  struct Free {
    std::shared_ptr<uint64_t> total;
    size_t size = 0;
    void operator()(std::byte* data) {
      std::free(data);
      if (total) *total -= size;
      size = 0;
    }
  };
  std::unique_ptr<std::byte, Free> data_;
};

/// Memory that is taken piece by piece and given back all at once: pieces of large blocks, so that
/// small ones lie in huge pages too.
class Pieces {
 public:
  /// `bytes`, aligned for every kernel. Throws std::bad_alloc.
  std::byte* take(size_t bytes);

 private:
  std::vector<Arena> blocks_;
  size_t used_ = 0;  ///< of the last block
};

}  // namespace safelight::engine::cpu
