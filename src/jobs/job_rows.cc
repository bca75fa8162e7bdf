#include "jobs/job_rows.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "jobs/messages.h"

namespace safelight::jobs::rows {
namespace {

using sqlite::Connection;
using sqlite::Row;

constexpr const char* kHeadColumns =
    "number, id, policy, owner, model, priority, cost, state, attempt, crashes, max_attempts, "
    "cancel, deadline, worker";

Error damaged(const std::string& id, std::string_view what) {
  return {ErrorCode::kCorruptFile,
          fmt::format("job {}: what is stored of it is damaged ({}); put a copy of the data folder "
                      "that is whole in its place",
                      id, what)};
}

State state_of(const std::string& name) {
  // A name that is none can come from a damaged file only; such a job is not run.
  return find_state(name).value_or(State::kFailed);
}

ErrorCode error_code_of(const std::string& name) {
  for (auto code = ErrorCode::kInvalidArgument; code < ErrorCode::kInternal;
       code = static_cast<ErrorCode>(static_cast<int>(code) + 1)) {
    if (error_info(code).name == name) return code;
  }
  return ErrorCode::kInternal;
}

Head read_head(const Row& row) {
  Head head;
  head.number = row.integer(0);
  head.id = row.text(1);
  head.policy = row.text(2);
  head.entry = {.id = head.id,
                .owner = row.text(3),
                .model = row.text(4),
                .priority = static_cast<int>(row.integer(5)),
                .cost = row.real(6)};
  head.state = state_of(row.text(7));
  head.attempt = static_cast<int>(row.integer(8));
  head.crashes = static_cast<int>(row.integer(9));
  head.max_attempts = static_cast<int>(row.integer(10));
  head.cancel = static_cast<CancelMode>(row.integer(11));
  head.deadline = row.integer(12);
  head.worker = row.text(13);
  return head;
}

Result<std::vector<Head>> read_heads(Connection& db, const std::string& where,
                                     sqlite::Values values) {
  std::vector<Head> found;
  Status read = db.each(fmt::format("SELECT {} FROM jobs WHERE {}", kHeadColumns, where), values,
                        [&](const Row& row) {
                          found.push_back(read_head(row));
                          return Status();
                        });
  if (!read) return read.error();
  return found;
}

/// Errors of statements that change exactly one row.
Status changed_one(const Result<int64_t>& changed) {
  if (!changed) return changed.error();
  if (*changed == 1) return {};
  return Error{ErrorCode::kInternal, fmt::format("{} jobs changed instead of 1", *changed)};
}

Status add_event(Connection& db, int64_t number, Time time, std::string_view type,
                 std::string_view detail) {
  const auto added = db.run(
      "INSERT INTO events SELECT ?1, coalesce(max(sequence), 0) + 1, ?2, ?3, ?4 FROM events "
      "WHERE job = ?1",
      {number, time, type, detail});
  return added ? Status() : added.error();
}

Result<boost::json::value> stored_json(const std::string& id, const std::string& text) {
  auto parsed = parse_json(text);
  if (!parsed) return damaged(id, parsed.error().message);
  return parsed;
}

Result<Job> read_job(const Row& row) {
  Job job;
  job.id = row.text(0);
  job.state = state_of(row.text(1));
  job.attempt = static_cast<int>(row.integer(2));
  job.cancel = static_cast<CancelMode>(row.integer(3));
  job.worker = row.text(4);
  job.created = row.integer(5);
  job.started = row.integer(6);
  job.finished = row.integer(7);
  if (const std::string code = row.text(8); !code.empty()) {
    job.error = JobError{.code = error_code_of(code), .message = row.text(9)};
  }
  const auto parsed = stored_json(job.id, row.text(10));
  if (!parsed) return parsed.error();
  auto asked = new_job_from_json(*parsed);
  if (!asked) return damaged(job.id, asked.error().message);
  job.asked = std::move(*asked);
  return job;
}

Status read_results(Connection& db, int64_t number, Job& job) {
  return db.each("SELECT file FROM results WHERE job = ? ORDER BY place", {number},
                 [&](const Row& row) -> Status {
                   const auto parsed = stored_json(job.id, row.text(0));
                   if (!parsed) return parsed.error();
                   auto file = result_file_from_json(*parsed);
                   if (!file) return damaged(job.id, file.error().message);
                   job.results.push_back(std::move(*file));
                   return {};
                 });
}

}  // namespace

Error no_such_job(const std::string& id) {
  constexpr size_t kShown = 64;
  return {ErrorCode::kNotFound,
          fmt::format("there is no job '{}'; it may have been removed with age, or never been",
                      utf8_prefix(id, kShown))};
}

Prepared prepare(const NewJob& job) {
  return {.text = boost::json::serialize(to_json(job)),
          .model = job.model_sha256.empty() ? job.request.model : job.model_sha256,
          .cost = cost_of(job.request),
          .pictures = job.request.batch_size * job.request.batch_count};
}

Status insert(Connection& db, const std::string& id, Time created, const NewJob& job,
              const Prepared& prepared) {
  int64_t number = 0;
  Status inserted = db.each(
      "INSERT INTO jobs(id, owner, client_id, idempotency_key, fingerprint, policy, model, "
      "priority, cost, deadline, max_attempts, state, created, asked) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?) RETURNING number",
      {id, job.owner, job.client_id, job.idempotency_key, job.fingerprint, job.policy,
       prepared.model, int64_t{job.priority}, prepared.cost, job.deadline,
       int64_t{job.max_attempts}, created, prepared.text},
      [&](const Row& row) {
        number = row.integer(0);
        return Status();
      });
  if (!inserted) return inserted;
  const auto used = db.run("INSERT INTO usage VALUES(?, ?, ?, ?, ?)",
                           {job.owner, created, id, prepared.pictures, prepared.cost});
  if (!used) return used.error();
  return add_event(db, number, created, state_name(State::kQueued), "");
}

Result<std::optional<std::string>> find_key(Connection& db, const NewJob& job) {
  if (job.idempotency_key.empty()) return std::optional<std::string>();
  std::optional<std::string> found;
  bool same = false;
  Status read = db.each(
      "SELECT id, fingerprint FROM jobs "
      "WHERE owner = ? AND idempotency_key = ? AND idempotency_key <> ''",
      {job.owner, job.idempotency_key}, [&](const Row& row) {
        found = row.text(0);
        same = row.text(1) == job.fingerprint;
        return Status();
      });
  if (!read) return read.error();
  if (found && !same) {
    return Error{ErrorCode::kConflict,
                 fmt::format("the idempotency key '{}' was used for another request (job {}); "
                             "use a new key for a new request",
                             job.idempotency_key, *found)};
  }
  return found;
}

Result<std::optional<Head>> head(Connection& db, const std::string& id) {
  auto found = read_heads(db, "id = ?", {id});
  if (!found) return found.error();
  if (found->empty()) return std::optional<Head>();
  return std::optional<Head>(std::move(found->front()));
}

Result<std::vector<Head>> heads(Connection& db, State state) {
  return read_heads(db, "state = ? ORDER BY id", {state_name(state)});
}

Result<std::vector<Head>> past_deadline(Connection& db, Time time) {
  return read_heads(db, "deadline > 0 AND finished = 0 AND deadline <= ?", {time});
}

Result<Job> job(Connection& db, const std::string& id) {
  std::optional<Job> found;
  int64_t number = 0;
  Status read = db.each(
      "SELECT id, state, attempt, cancel, worker, created, started, finished, error_code, "
      "error_message, asked, number FROM jobs WHERE id = ?",
      {id}, [&](const Row& row) -> Status {
        auto one = read_job(row);
        if (!one) return one.error();
        found = std::move(*one);
        number = row.integer(11);
        return {};
      });
  if (!read) return read.error();
  if (!found) return no_such_job(id);
  if (Status results = read_results(db, number, *found); !results) return results.error();
  return std::move(*found);
}

Result<std::vector<StoredEvent>> events(Connection& db, const std::string& id) {
  const auto known = head(db, id);
  if (!known) return known.error();
  if (!*known) return no_such_job(id);
  std::vector<StoredEvent> found;
  Status read =
      db.each("SELECT sequence, time, type, detail FROM events WHERE job = ? ORDER BY sequence",
              {(*known)->number}, [&](const Row& row) {
                found.push_back({.sequence = row.integer(0),
                                 .time = row.integer(1),
                                 .type = row.text(2),
                                 .detail = row.text(3)});
                return Status();
              });
  if (!read) return read.error();
  return found;
}

Status begin_attempt(Connection& db, const Head& head, const std::string& worker, Time time) {
  Status changed = changed_one(
      db.run("UPDATE jobs SET state = 'running', attempt = attempt + 1, worker = ?, started = ? "
             "WHERE number = ? AND state = 'queued'",
             {worker, time, head.number}));
  if (!changed) return changed;
  return add_event(db, head.number, time, state_name(State::kRunning), worker);
}

Status requeue(Connection& db, const Head& head, bool counted, std::string_view reason) {
  Status changed = changed_one(
      db.run("UPDATE jobs SET state = 'queued', crashes = crashes + ?, worker = '', started = 0 "
             "WHERE number = ? AND state = 'running'",
             {int64_t{counted ? 1 : 0}, head.number}));
  if (!changed) return changed;
  return add_event(db, head.number, now(), "requeued", reason);
}

Status request_cancel(Connection& db, const Head& head, CancelMode mode) {
  Status changed = changed_one(db.run("UPDATE jobs SET cancel = ? WHERE number = ?",
                                      {static_cast<int64_t>(mode), head.number}));
  if (!changed) return changed;
  return add_event(db, head.number, now(), "cancel_requested",
                   mode == CancelMode::kInterrupt ? "interrupt" : "drop");
}

Status end(Connection& db, const Head& head, State state, const std::optional<JobError>& error) {
  const Time time = now();
  const std::string_view code = error ? error_info(error->code).name : "";
  const std::string_view message = error ? std::string_view(error->message) : "";
  Status changed = changed_one(
      db.run("UPDATE jobs SET state = ?, finished = ?, error_code = ?, error_message = ? "
             "WHERE number = ? AND state IN ('queued', 'running')",
             {state_name(state), time, code, message, head.number}));
  if (!changed) return changed;
  return add_event(db, head.number, time, state_name(state), message);
}

Status add_result(Connection& db, const Head& head, const ResultFile& file) {
  const std::string text = boost::json::serialize(to_json(file));
  const auto added =
      db.run("INSERT INTO results VALUES(?, ?, ?, ?, ?)",
             {head.number, file.index, file.sha256, static_cast<int64_t>(file.bytes), text});
  return added ? Status() : added.error();
}

}  // namespace safelight::jobs::rows
