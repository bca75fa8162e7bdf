#pragma once

#include <string>
#include <vector>

#include "jobs/sqlite.h"
#include "jobs/store.h"

namespace safelight::jobs::queries {

/// What a Store answers without changing anything, read from its database: see there.
Result<Job> find_client_id(sqlite::Connection& db, const std::string& owner,
                           const std::string& client_id);
Result<std::vector<Job>> list(sqlite::Connection& db, const JobQuery& query);
Result<std::map<State, int64_t>> counts(sqlite::Connection& db);
Result<Store::Usage> usage(sqlite::Connection& db, const std::string& owner, Time since);

struct StoredFile {
  std::string sha256;
  uint64_t bytes = 0;
};
/// Where the bytes of a result are. Errors: kNotFound.
Result<StoredFile> result(sqlite::Connection& db, const std::string& id, int64_t index);
/// Whether a result has that content.
Result<bool> is_used(sqlite::Connection& db, const std::string& sha256);
/// Whether something is known of what was asked for before that.
Result<bool> has_usage_before(sqlite::Connection& db, Time time);
/// Empty when there are no jobs.
Result<std::string> newest_id(sqlite::Connection& db);

}  // namespace safelight::jobs::queries
