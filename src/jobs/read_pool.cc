#include "jobs/read_pool.h"

#include <utility>

namespace safelight::jobs {
namespace {

/// More are closed after use.
constexpr size_t kMostKept = 8;

}  // namespace

Result<std::unique_ptr<sqlite::Connection>> ReadPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      auto connection = std::move(free_.back());
      free_.pop_back();
      return connection;
    }
  }
  return sqlite::Connection::open(path_, true);
}

void ReadPool::give(std::unique_ptr<sqlite::Connection> connection) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < kMostKept) free_.push_back(std::move(connection));
}

}  // namespace safelight::jobs
