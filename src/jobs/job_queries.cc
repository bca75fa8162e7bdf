#include "jobs/job_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "jobs/job_rows.h"

namespace safelight::jobs::queries {
namespace {

using sqlite::Connection;
using sqlite::Row;

/// The answer of one text; empty without a row.
Result<std::string> text_of(Connection& db, std::string_view sql, sqlite::Values values) {
  std::string text;
  Status read = db.each(sql, values, [&](const Row& row) {
    text = row.text(0);
    return Status();
  });
  return read ? Result<std::string>(std::move(text)) : read.error();
}

/// Ids of one state (any when not given), newest first.
Result<std::vector<std::string>> ids(Connection& db, const JobQuery& query,
                                     std::optional<State> state) {
  // Each combination has an index of its own; what is not asked for gets no condition.
  const std::string sql =
      fmt::format("SELECT id FROM jobs WHERE {} AND {} AND id < ?3 ORDER BY id DESC LIMIT ?4",
                  query.owner ? "owner = ?1" : "?1 = ''", state ? "state = ?2" : "?2 = ''");
  const std::string before = query.before.empty() ? "~" : query.before;  // behind every ULID
  const std::string_view owner = query.owner ? std::string_view(*query.owner) : "";
  const std::string_view name = state ? state_name(*state) : "";
  std::vector<std::string> found;
  Status read =
      db.each(sql, {owner, name, before, static_cast<int64_t>(query.limit)}, [&](const Row& row) {
        found.push_back(row.text(0));
        return Status();
      });
  if (!read) return read.error();
  return found;
}

}  // namespace

Result<Job> find_client_id(Connection& db, const std::string& owner, const std::string& client_id) {
  const auto id =
      text_of(db, "SELECT max(id) FROM jobs WHERE owner = ? AND client_id = ? AND client_id <> ''",
              {owner, client_id});
  if (!id) return id.error();
  return id->empty() ? rows::no_such_job(client_id) : rows::job(db, *id);
}

Result<std::vector<Job>> list(Connection& db, const JobQuery& query) {
  std::vector<std::optional<State>> states(query.states.begin(), query.states.end());
  if (states.empty()) states.emplace_back();
  std::vector<std::string> found;
  for (const auto state : states) {
    const auto some = ids(db, query, state);
    if (!some) return some.error();
    found.insert(found.end(), some->begin(), some->end());
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  found.resize(std::min(found.size(), query.limit));
  std::vector<Job> jobs;
  for (const auto& id : found) {
    auto job = rows::job(db, id);
    if (!job) return job.error();
    jobs.push_back(std::move(*job));
  }
  return jobs;
}

Result<std::map<State, int64_t>> counts(Connection& db) {
  std::map<State, int64_t> counts;
  Status read = db.each("SELECT name, value FROM tally", {}, [&](const Row& row) {
    if (const auto state = find_state(row.text(0))) counts[*state] = row.integer(1);
    return Status();
  });
  if (!read) return read.error();
  return counts;
}

Result<Store::Usage> usage(Connection& db, const std::string& owner, Time since) {
  Store::Usage usage;
  Status read = db.each("SELECT sum(pictures), sum(cost) FROM usage WHERE owner = ? AND time >= ?",
                        {owner, since}, [&](const Row& row) {
                          usage = {.pictures = row.integer(0), .cost = row.real(1)};
                          return Status();
                        });
  if (!read) return read.error();
  return usage;
}

Result<StoredFile> result(Connection& db, const std::string& id, int64_t index) {
  const auto head = rows::head(db, id);
  if (!head) return head.error();
  if (!*head) return rows::no_such_job(id);
  StoredFile file;
  Status read =
      db.each("SELECT sha256, bytes FROM results WHERE job = ? AND place = ?",
              {(*head)->number, index}, [&](const Row& row) {
                file = {.sha256 = row.text(0), .bytes = static_cast<uint64_t>(row.integer(1))};
                return Status();
              });
  if (!read) return read.error();
  if (file.sha256.empty()) {
    return Error{ErrorCode::kNotFound, fmt::format("job {} has no result {}", id, index)};
  }
  return file;
}

Result<bool> is_used(Connection& db, const std::string& sha256) {
  const auto found = text_of(db, "SELECT 1 FROM results WHERE sha256 = ? LIMIT 1", {sha256});
  return found ? Result<bool>(!found->empty()) : found.error();
}

Result<bool> has_usage_before(Connection& db, Time time) {
  const auto found = text_of(db, "SELECT 1 FROM usage WHERE time < ? LIMIT 1", {time});
  return found ? Result<bool>(!found->empty()) : found.error();
}

Result<std::string> newest_id(Connection& db) {
  return text_of(db, "SELECT max(id) FROM jobs", {});
}

}  // namespace safelight::jobs::queries
