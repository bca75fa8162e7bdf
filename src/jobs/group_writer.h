#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "jobs/sqlite.h"

namespace safelight::jobs {

/// A change of the database. `execute` runs alone, inside a transaction; if it returns an error, or
/// the transaction fails, the database is as it was before. Then either `committed` or `abandoned`
/// is called once, before the next change begins, so that what is kept in memory follows in the
/// same order.
struct Write {
  std::function<Status(sqlite::Connection&)> execute;
  std::function<void()> committed = [] {};
  std::function<void()> abandoned = [] {};
  bool durable = true;  ///< synced before run() returns; otherwise with the next one that is
};

/// The one writer of a database. Changes that come while another one is synced are made in one
/// transaction together, so that they share a sync. Any thread.
class GroupWriter {
 public:
  explicit GroupWriter(std::unique_ptr<sqlite::Connection> connection)
      : connection_(std::move(connection)) {}

  /// Blocks until the change is made or failed. Errors: that of `execute`, or of the commit.
  Status run(Write write);

 private:
  struct Pending {
    Write write;
    Status status;
    std::exception_ptr thrown;
    bool done = false;
  };
  using Batch = std::vector<Pending*>;

  void commit(const Batch& batch);
  Status begin(bool durable);
  Status execute(const Batch& batch);
  Status execute(Pending& pending);

  std::unique_ptr<sqlite::Connection> connection_;  ///< of the thread that leads
  bool synchronous_ = false;                        ///< what the connection is set to
  bool sync_failed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool led_ = false;  ///< some thread makes a batch
  Batch waiting_;
};

}  // namespace safelight::jobs
