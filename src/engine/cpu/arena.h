#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

namespace safelight::engine::cpu {

/// Memory for intermediate values, shared by all executables of an engine (one runs at a time);
/// grows to the largest.
class Arena {
 public:
  /// At least `bytes`, aligned for every kernel. Throws std::bad_alloc.
  std::byte* reserve(size_t bytes);
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
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
