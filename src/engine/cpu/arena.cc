#include "engine/cpu/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace safelight::engine::cpu {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kBlock = size_t{32} << 20;
constexpr size_t kAlignment = 64;

}  // namespace

std::byte* Arena::reserve(size_t bytes) {
  if (bytes > size() || !data_) {
    data_.reset();
    const size_t rounded = (std::max<size_t>(bytes, 1) + kHugePage - 1) / kHugePage * kHugePage;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kHugePage, rounded)));
    if (!data_) throw std::bad_alloc();
    Free& owner = data_.get_deleter();
    owner.size = rounded;
    if (owner.total) *owner.total += rounded;
    // A hint: where the system gives none, pages stay small.
    ::madvise(data_.get(), rounded, MADV_HUGEPAGE);
  }
  return data_.get();
}

std::byte* Pieces::take(size_t bytes) {
  if (blocks_.empty() || used_ + bytes > blocks_.back().size()) {
    blocks_.emplace_back().reserve(std::max(bytes, kBlock));
    used_ = 0;
  }
  std::byte* const piece = blocks_.back().reserve(1) + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return piece;
}

}  // namespace safelight::engine::cpu
