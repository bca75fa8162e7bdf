#include "jobs/group_writer.h"

#include <algorithm>
#include <utility>

namespace safelight::jobs {
namespace {

constexpr const char* kTryAgain =
    "the job store could not be made whole yet after the disk failed; try again";

}  // namespace

Status GroupWriter::run(Write write) {
  Pending mine{.write = std::move(write)};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&mine);
  changed_.wait(lock, [&] { return mine.done || !led_; });
  if (!mine.done) {
    led_ = true;
    const Batch batch = std::exchange(waiting_, {});
    lock.unlock();
    commit(batch);
    lock.lock();
    for (Pending* pending : batch) pending->done = true;
    led_ = false;
    changed_.notify_all();
  }
  if (mine.thrown) std::rethrow_exception(mine.thrown);
  return mine.status;
}

void GroupWriter::commit(const Batch& batch) {
  const bool durable =
      std::any_of(batch.begin(), batch.end(), [](const Pending* p) { return p->write.durable; });
  Status whole = begin(durable);
  if (whole) whole = execute(batch);
  if (whole) {
    const auto committed = connection_->run("COMMIT");
    if (!committed) whole = committed.error();
  }
  if (!whole) {
    sync_failed_ |= connection_->failed_to_sync();
    if (connection_->in_transaction()) static_cast<void>(connection_->run("ROLLBACK"));
    for (Pending* pending : batch) {
      if (pending->status) pending->status = whole;
    }
  }
  for (auto pending = batch.rbegin(); pending != batch.rend(); ++pending) {
    if (!(*pending)->status) (*pending)->write.abandoned();
  }
  for (Pending* pending : batch) {
    if (pending->status) pending->write.committed();
  }
}

Status GroupWriter::begin(bool durable) {
  if (sync_failed_) {
    // The system may take pages for written that it failed to write. Copying the log into the
    // database writes them anew; going on behind them could lose all that follows.
    Status copied = connection_->each("PRAGMA wal_checkpoint(TRUNCATE)", {}, [](const auto& row) {
      const bool readers_in_the_way = row.integer(0) != 0;
      return readers_in_the_way ? Status(Error{ErrorCode::kIo, kTryAgain}) : Status();
    });
    if (!copied) return copied;
    sync_failed_ = false;
  }
  if (durable != synchronous_) {
    Status set =
        connection_->script(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    if (!set) return set;
    synchronous_ = durable;
  }
  const auto begun = connection_->run("BEGIN IMMEDIATE");
  return begun ? Status() : begun.error();
}

Status GroupWriter::execute(const Batch& batch) {
  for (Pending* pending : batch) {
    if (Status good = execute(*pending); !good) return good;
  }
  return {};
}

/// An error that ends only this change stays in it; one that ends the transaction is returned.
Status GroupWriter::execute(Pending& pending) {
  if (const auto point = connection_->run("SAVEPOINT change"); !point) return point.error();
  try {
    pending.status = pending.write.execute(*connection_);
  } catch (...) {
    pending.thrown = std::current_exception();
    pending.status = Error{ErrorCode::kInternal, "a change of the job store threw"};
  }
  // A full disk and the like undo the whole transaction.
  if (!connection_->in_transaction()) {
    if (!pending.status) return pending.status;
    return Error{ErrorCode::kInternal, "a change of the job store went on after it had failed"};
  }
  if (!pending.status) {
    if (const auto undone = connection_->run("ROLLBACK TO change"); !undone) return undone.error();
  }
  const auto released = connection_->run("RELEASE change");
  return released ? Status() : released.error();
}

}  // namespace safelight::jobs
