#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

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

}  // namespace safelight::engine::cpu
