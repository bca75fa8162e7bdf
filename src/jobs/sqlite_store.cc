#include "jobs/sqlite_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "jobs/claiming.h"
#include "jobs/data_folder.h"
#include "jobs/group_writer.h"
#include "jobs/job_queries.h"
#include "jobs/job_rows.h"
#include "jobs/live_jobs.h"
#include "jobs/outcome.h"
#include "jobs/read_pool.h"
#include "jobs/result_files.h"
#include "jobs/retention.h"
#include "jobs/schema.h"
#include "jobs/ulid.h"

namespace safelight::jobs {
namespace {

using rows::Head;
using sqlite::Connection;

constexpr size_t kMostAtOnce = 1000;
constexpr const char* kLeaseRanOut = "its worker was not heard of any more";

bool held(const std::optional<Head>& head, const Lease& lease) {
  return head && head->state == State::kRunning && head->attempt == lease.attempt &&
         head->worker == lease.worker;
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::unique_ptr<DataFolder> folder, std::unique_ptr<Connection> connection,
              Retention retention)
      : retention_(retention),
        folder_(std::move(folder)),
        files_(folder_->path() / "results"),
        writer_(std::move(connection)),
        readers_(folder_->path() / "jobs.db") {}

  /// Takes up what the server before this one left.
  Status recover();

  Result<std::vector<Accepted>> submit(const std::vector<NewJob>& jobs) override;
  Result<Job> find(const std::string& id) override;
  Result<Job> find_client_id(const std::string& owner, const std::string& client_id) override;
  Result<std::vector<Job>> list(const JobQuery& query) override;
  Result<std::vector<StoredEvent>> events(const std::string& id) override;
  Result<std::string> read_result(const std::string& id, int64_t index) override;
  Result<std::optional<Claim>> claim(const ClaimOptions& options) override;
  Result<RenewedLease> renew(const Lease& lease, int64_t lease_ms) override;
  Result<bool> finish(const Lease& lease, const Outcome& outcome) override;
  Result<bool> give_back(const Lease& lease, bool counted, const std::string& reason) override;
  Result<State> cancel(const std::string& id, CancelMode mode) override;
  Result<std::vector<Change>> sweep() override;
  Result<QueueCounts> counts() override;
  Result<std::vector<std::string>> order(size_t limit) override;
  Result<Usage> usage(const std::string& owner, Time since) override;

 private:
  Result<bool> commit_outcome(const Lease& lease, const Outcome& outcome);
  Result<bool> leave(const Lease& lease, bool counted, const std::string& reason,
                     std::vector<Change>& changes);
  Status expire(std::vector<Change>& changes);
  Status apply_retention();
  Status forget_usage();
  void remove_unused(const std::vector<std::string>& hashes);
  Result<bool> is_used(const std::string& sha256);
  Time steady_now() const;

  const Retention retention_;
  const std::unique_ptr<DataFolder> folder_;  ///< unlocked last
  ResultFiles files_;
  GroupWriter writer_;
  ReadPool readers_;
  LiveJobs live_;
  UlidGenerator ids_;
  const Time opened_ = now();
  const LiveJobs::Clock::time_point opened_steady_ = LiveJobs::Clock::now();
};

Status SqliteStore::recover() {
  std::vector<Head> waiting;
  const auto execute = [&](Connection& db) -> Status {
    const auto running = rows::heads(db, State::kRunning);
    if (!running) return running.error();
    for (const Head& head : *running) {
      const Fate fate = fate_of(head.cancel, 0, 1, "");
      Status changed = is_final(fate.state)
                           ? rows::end(db, head, fate.state, fate.error)
                           : rows::requeue(db, head, false, "the server was started again");
      if (!changed) return changed;
    }
    auto queued = rows::heads(db, State::kQueued);
    if (!queued) return queued.error();
    waiting = std::move(*queued);
    const auto newest = queries::newest_id(db);
    if (!newest) return newest.error();
    ids_.follow(*newest);
    return {};
  };
  if (Status done = writer_.run({.execute = execute}); !done) return done;
  for (const Head& head : waiting) live_.add(head);
  Status tidied = files_.tidy(folder_->left_in_disorder(),
                              [this](const std::string& sha256) { return is_used(sha256); });
  if (!tidied) return tidied;
  folder_->settled();
  return sync_folder(folder_->path());
}

Result<std::vector<Accepted>> SqliteStore::submit(const std::vector<NewJob>& jobs) {
  if (jobs.size() > kMostAtOnce) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} jobs at once; at most {} can be", jobs.size(), kMostAtOnce)};
  }
  std::vector<rows::Prepared> prepared;
  for (const NewJob& job : jobs) prepared.push_back(rows::prepare(job));
  std::vector<Accepted> accepted;
  const auto execute = [&](Connection& db) -> Status {
    for (size_t i = 0; i < jobs.size(); ++i) {
      auto known = rows::find_key(db, jobs[i]);
      if (!known) return known.error();
      if (*known) {
        accepted.push_back({.id = std::move(**known), .repeated = true});
        continue;
      }
      const Time created = now();
      accepted.push_back({.id = ids_.next(created)});
      Status stored = rows::insert(db, accepted.back().id, created, jobs[i], prepared[i]);
      if (!stored) return stored;
    }
    return {};
  };
  const auto committed = [&] {
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (accepted[i].repeated) continue;
      Head head;
      head.id = accepted[i].id;
      head.policy = jobs[i].policy;
      head.entry = {.id = head.id,
                    .owner = jobs[i].owner,
                    .model = prepared[i].model,
                    .priority = jobs[i].priority,
                    .cost = prepared[i].cost};
      live_.add(head);
    }
  };
  Status done = writer_.run({.execute = execute, .committed = committed});
  if (!done) return done.error();
  return accepted;
}

Result<Job> SqliteStore::find(const std::string& id) {
  return readers_.read([&](Connection& db) { return rows::job(db, id); });
}

Result<Job> SqliteStore::find_client_id(const std::string& owner, const std::string& client_id) {
  return readers_.read(
      [&](Connection& db) { return queries::find_client_id(db, owner, client_id); });
}

Result<std::vector<Job>> SqliteStore::list(const JobQuery& query) {
  return readers_.read([&](Connection& db) { return queries::list(db, query); });
}

Result<std::vector<StoredEvent>> SqliteStore::events(const std::string& id) {
  return readers_.read([&](Connection& db) { return rows::events(db, id); });
}

Result<std::string> SqliteStore::read_result(const std::string& id, int64_t index) {
  const auto file = readers_.read([&](Connection& db) { return queries::result(db, id, index); });
  return file ? files_.read(file->sha256, file->bytes) : file.error();
}

Result<std::optional<Claim>> SqliteStore::claim(const ClaimOptions& options) {
  if (!live_.waits(options.policy)) return std::optional<Claim>();
  Claiming claiming(live_, options);
  // A claim that a crash undoes is as if the front had been started anew: it need not be synced.
  Status done = writer_.run({.execute = [&](Connection& db) { return claiming.execute(db); },
                             .committed = [&] { claiming.committed(); },
                             .abandoned = [&] { claiming.abandoned(); },
                             .durable = false});
  if (!done) return done.error();
  return claiming.claimed();
}

Result<RenewedLease> SqliteStore::renew(const Lease& lease, int64_t lease_ms) {
  return live_.renew(lease, lease_ms);
}

Result<bool> SqliteStore::finish(const Lease& lease, const Outcome& outcome) {
  if (Status good = check_outcome(outcome); !good) return good.error();
  if (!live_.holds(lease)) return false;
  const auto ended = commit_outcome(lease, outcome);
  if (!ended || !*ended) {
    std::vector<std::string> hashes;
    for (const auto& picture : outcome.pictures) hashes.push_back(picture.file.sha256);
    remove_unused(hashes);
  }
  return ended;
}

Result<bool> SqliteStore::commit_outcome(const Lease& lease, const Outcome& outcome) {
  std::vector<std::string> hashes;
  for (const auto& picture : outcome.pictures) hashes.push_back(picture.file.sha256);
  const ResultFiles::Hold hold(files_, std::move(hashes));
  for (const auto& picture : outcome.pictures) {
    Status written = files_.write(picture.file.sha256, picture.data);
    if (!written) return written.error();
  }
  std::optional<Head> head;
  bool ended = false;
  const auto execute = [&](Connection& db) -> Status {
    auto found = rows::head(db, lease.job);
    if (!found) return found.error();
    if (!held(*found, lease)) return {};
    head = std::move(*found);
    if (Status end = rows::end(db, *head, outcome.state, outcome.error); !end) return end;
    for (const auto& picture : outcome.pictures) {
      if (Status added = rows::add_result(db, *head, picture.file); !added) return added;
    }
    ended = true;
    return {};
  };
  const auto committed = [&] {
    if (ended) live_.end(*head);
  };
  Status done = writer_.run({.execute = execute, .committed = committed});
  if (!done) return done.error();
  return ended;
}

Result<bool> SqliteStore::give_back(const Lease& lease, bool counted, const std::string& reason) {
  std::vector<Change> changes;
  return leave(lease, counted, reason, changes);
}

Result<bool> SqliteStore::leave(const Lease& lease, bool counted, const std::string& reason,
                                std::vector<Change>& changes) {
  std::optional<Head> head;
  Fate fate;
  const auto execute = [&](Connection& db) -> Status {
    auto found = rows::head(db, lease.job);
    if (!found) return found.error();
    if (!held(*found, lease)) return {};
    head = std::move(*found);
    // What is given back uncounted has an attempt left, however often that happens.
    const int crashes = counted ? head->crashes + 1 : 0;
    fate = fate_of(head->cancel, crashes, std::max(head->max_attempts, 1), reason);
    return is_final(fate.state) ? rows::end(db, *head, fate.state, fate.error)
                                : rows::requeue(db, *head, counted, reason);
  };
  const auto committed = [&] {
    if (!head) return;
    if (is_final(fate.state)) {
      live_.end(*head);
    } else {
      live_.requeue(*head);
    }
    changes.push_back({.job = head->id, .owner = head->entry.owner, .state = fate.state});
  };
  Status done = writer_.run({.execute = execute, .committed = committed});
  if (!done) return done.error();
  return head.has_value();
}

Result<State> SqliteStore::cancel(const std::string& id, CancelMode mode) {
  if (mode == CancelMode::kNone) {
    return Error{ErrorCode::kInvalidArgument, "a cancel needs a way to end the job"};
  }
  std::optional<Head> head;
  State after = State::kQueued;
  const auto execute = [&](Connection& db) -> Status {
    auto found = rows::head(db, id);
    if (!found) return found.error();
    if (!*found) return rows::no_such_job(id);
    head = std::move(*found);
    after = head->state;
    if (head->state == State::kQueued) {
      after = State::kCancelled;
      return rows::end(db, *head, after, cancelled_error());
    }
    const bool asks = head->state == State::kRunning && head->cancel != mode;
    return asks ? rows::request_cancel(db, *head, mode) : Status();
  };
  const auto committed = [&] {
    if (after == State::kRunning) live_.ask_to_end(id, mode);
    if (head->state == State::kQueued) live_.end(*head);
  };
  Status done = writer_.run({.execute = execute, .committed = committed});
  if (!done) return done.error();
  return after;
}

Result<std::vector<Change>> SqliteStore::sweep() {
  std::vector<Change> changes = live_.noted();
  const auto take_back = [&]() -> Status {
    for (const Lease& lease : live_.overdue()) {
      if (const auto left = leave(lease, true, kLeaseRanOut, changes); !left) return left.error();
    }
    return {};
  };
  Status swept = take_back();
  if (swept) swept = expire(changes);
  if (swept) swept = apply_retention();
  if (swept) swept = forget_usage();
  if (swept) return changes;
  live_.note(std::move(changes));  // for the next one: what happened is told
  return swept.error();
}

Status SqliteStore::expire(std::vector<Change>& changes) {
  const auto any = readers_.read([](Connection& db) { return rows::past_deadline(db, now()); });
  if (!any) return any.error();
  if (any->empty()) return {};
  std::vector<Head> expired;
  const auto execute = [&](Connection& db) -> Status {
    auto found = rows::past_deadline(db, now());
    if (!found) return found.error();
    expired = std::move(*found);
    for (const Head& head : expired) {
      if (Status end = rows::end(db, head, State::kExpired, expired_error()); !end) return end;
    }
    return {};
  };
  const auto committed = [&] {
    for (const Head& head : expired) {
      live_.end(head);
      changes.push_back({.job = head.id, .owner = head.entry.owner, .state = State::kExpired});
    }
  };
  return writer_.run({.execute = execute, .committed = committed});
}

Status SqliteStore::apply_retention() {
  if (retention_.max_age_ms == 0 && retention_.max_bytes == 0) return {};
  for (;;) {
    const auto aged =
        readers_.read([&](Connection& db) { return find_aged(db, retention_, steady_now()); });
    if (!aged) return aged.error();
    if (aged->empty()) return {};
    std::vector<std::string> hashes;
    const auto execute = [&](Connection& db) -> Status {
      auto removed = remove_jobs(db, *aged);
      if (!removed) return removed.error();
      hashes = std::move(*removed);
      return {};
    };
    if (Status done = writer_.run({.execute = execute}); !done) return done;
    remove_unused(hashes);
  }
}

/// The system's clock, but not ahead of the time that has passed: a jump of the clock must not
/// make everything old.
Time SqliteStore::steady_now() const {
  const auto passed = LiveJobs::Clock::now() - opened_steady_;
  return std::min(now(),
                  opened_ + std::chrono::duration_cast<std::chrono::milliseconds>(passed).count());
}

Status SqliteStore::forget_usage() {
  const Time before = steady_now() - kUsageKeptMs;
  const auto any =
      readers_.read([&](Connection& db) { return queries::has_usage_before(db, before); });
  if (!any) return any.error();
  if (!*any) return {};
  const auto execute = [&](Connection& db) -> Status {
    const auto removed = db.run("DELETE FROM usage WHERE time < ?", {before});
    return removed ? Status() : removed.error();
  };
  return writer_.run({.execute = execute, .durable = false});
}

void SqliteStore::remove_unused(const std::vector<std::string>& hashes) {
  for (const auto& hash : hashes) {
    Status removed =
        files_.remove_unused(hash, [this](const std::string& sha256) { return is_used(sha256); });
    if (!removed) spdlog::warn("{}", removed.error().message);
  }
}

Result<bool> SqliteStore::is_used(const std::string& sha256) {
  return readers_.read([&](Connection& db) { return queries::is_used(db, sha256); });
}

Result<QueueCounts> SqliteStore::counts() {
  auto jobs = readers_.read([](Connection& db) { return queries::counts(db); });
  if (!jobs) return jobs.error();
  return QueueCounts{.jobs = std::move(*jobs), .queued_cost = live_.queued_cost()};
}

Result<std::vector<std::string>> SqliteStore::order(size_t limit) { return live_.order(limit); }

Result<Store::Usage> SqliteStore::usage(const std::string& owner, Time since) {
  return readers_.read([&](Connection& db) { return queries::usage(db, owner, since); });
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteStoreOptions& options) {
  auto folder = DataFolder::open(options.folder);
  if (!folder) return folder.error();
  const auto file = options.folder / "jobs.db";
  const auto is_new = is_new_database(file);
  if (!is_new) return is_new.error();
  if (*is_new && !ResultFiles(options.folder / "results").empty()) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("{}: is missing or empty, but there are results beside it; put it "
                             "back from a copy, or move the folder away to begin with an empty one",
                             file.string())};
  }
  auto connection = open_database(file);
  if (!connection) return connection.error();
  auto store =
      std::make_unique<SqliteStore>(std::move(*folder), std::move(*connection), options.retention);
  if (Status recovered = store->recover(); !recovered) return recovered.error();
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace safelight::jobs
