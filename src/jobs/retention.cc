#include "jobs/retention.h"

namespace safelight::jobs {
namespace {

constexpr int64_t kAtOnce = 500;

Status find_by_age(sqlite::Connection& db, Time before, std::vector<int64_t>& numbers) {
  return db.each(
      "SELECT number FROM jobs WHERE finished > 0 AND finished < ? ORDER BY finished LIMIT ?",
      {before, kAtOnce}, [&](const sqlite::Row& row) {
        numbers.push_back(row.integer(0));
        return Status();
      });
}

Status find_by_bytes(sqlite::Connection& db, uint64_t most, std::vector<int64_t>& numbers) {
  int64_t excess = -static_cast<int64_t>(most);
  Status read = db.each("SELECT value FROM tally WHERE name = 'result bytes'", {},
                        [&](const sqlite::Row& row) {
                          excess += row.integer(0);
                          return Status();
                        });
  if (!read || excess <= 0) return read;
  return db.each(
      "SELECT number, (SELECT sum(bytes) FROM results WHERE job = number) AS held FROM jobs "
      "WHERE finished > 0 AND held > 0 ORDER BY finished LIMIT ?",
      {kAtOnce}, [&](const sqlite::Row& row) {
        if (excess > 0) numbers.push_back(row.integer(0));
        excess -= row.integer(1);
        return Status();
      });
}

}  // namespace

Result<std::vector<int64_t>> find_aged(sqlite::Connection& db, const Retention& retention,
                                       Time time) {
  std::vector<int64_t> numbers;
  Status found;
  if (retention.max_age_ms > 0) found = find_by_age(db, time - retention.max_age_ms, numbers);
  if (found && numbers.empty() && retention.max_bytes > 0) {
    found = find_by_bytes(db, retention.max_bytes, numbers);
  }
  if (!found) return found.error();
  return numbers;
}

Result<std::vector<std::string>> remove_jobs(sqlite::Connection& db,
                                             const std::vector<int64_t>& numbers) {
  std::vector<std::string> hashes;
  for (const int64_t number : numbers) {
    Status read =
        db.each("SELECT sha256 FROM results WHERE job = ?", {number}, [&](const sqlite::Row& row) {
          hashes.push_back(row.text(0));
          return Status();
        });
    if (!read) return read.error();
    for (const char* sql : {"DELETE FROM results WHERE job = ?", "DELETE FROM events WHERE job = ?",
                            "DELETE FROM jobs WHERE number = ?"}) {
      if (const auto removed = db.run(sql, {number}); !removed) return removed.error();
    }
  }
  return hashes;
}

}  // namespace safelight::jobs
