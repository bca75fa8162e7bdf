#include "jobs/schema.h"

#include <fmt/format.h>

#include <array>
#include <system_error>

namespace safelight::jobs {
namespace {

constexpr int64_t kApplicationId = 0x53464c4a;  ///< "SFLJ"
/// Reading a database of that size whole costs a few milliseconds at start; damage in a larger one
/// is found when it is read.
constexpr uintmax_t kCheckedWhole = uintmax_t{16} << 20;
/// Pages of the log that are copied into the database at once; longer logs make that rarer.
constexpr const char* kSettings =
    "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=4000; PRAGMA foreign_keys=OFF;"
    "PRAGMA temp_store=MEMORY; PRAGMA synchronous=FULL;";

/// Step n brings a database from version n to n + 1. A step that was released is never changed.
constexpr std::array kMigrations = {
    // The long text stands last, so that changing a state does not touch the pages it fills.
    // `model`
    // is what jobs are grouped by; `crashes` counts attempts that ended their worker.
    "CREATE TABLE jobs("
    "  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,"
    "  client_id TEXT NOT NULL, idempotency_key TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  policy TEXT NOT NULL, model TEXT NOT NULL, priority INTEGER NOT NULL, cost REAL NOT NULL,"
    "  deadline INTEGER NOT NULL, max_attempts INTEGER NOT NULL, state TEXT NOT NULL,"
    "  attempt INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0,"
    "  cancel INTEGER NOT NULL DEFAULT 0, worker TEXT NOT NULL DEFAULT '',"
    "  created INTEGER NOT NULL, started INTEGER NOT NULL DEFAULT 0,"
    "  finished INTEGER NOT NULL DEFAULT 0, error_code TEXT NOT NULL DEFAULT '',"
    "  error_message TEXT NOT NULL DEFAULT '', asked TEXT NOT NULL) STRICT;"
    "CREATE INDEX jobs_owner ON jobs(owner, id);"
    "CREATE INDEX jobs_owner_state ON jobs(owner, state, id);"
    "CREATE INDEX jobs_state ON jobs(state, id);"
    "CREATE INDEX jobs_finished ON jobs(finished) WHERE finished > 0;"
    "CREATE INDEX jobs_deadline ON jobs(deadline) WHERE deadline > 0 AND finished = 0;"
    "CREATE INDEX jobs_client_id ON jobs(owner, client_id, id) WHERE client_id <> '';"
    "CREATE UNIQUE INDEX jobs_key ON jobs(owner, idempotency_key) WHERE idempotency_key <> '';"
    "CREATE TABLE results("
    "  job INTEGER NOT NULL, place INTEGER NOT NULL, sha256 TEXT NOT NULL,"
    "  bytes INTEGER NOT NULL, file TEXT NOT NULL, PRIMARY KEY(job, place)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX results_sha256 ON results(sha256);"
    "CREATE TABLE events("
    "  job INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, type TEXT NOT NULL,"
    "  detail TEXT NOT NULL, PRIMARY KEY(job, sequence)) STRICT, WITHOUT ROWID;"
    // Stays when retention removes the job.
    "CREATE TABLE usage("
    "  owner TEXT NOT NULL, time INTEGER NOT NULL, job TEXT NOT NULL, pictures INTEGER NOT NULL,"
    "  cost REAL NOT NULL, PRIMARY KEY(owner, time, job)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX usage_time ON usage(time);"
    // Sums that are asked for often; kept by the triggers.
    "CREATE TABLE tally(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TRIGGER count_new AFTER INSERT ON jobs BEGIN"
    "  INSERT INTO tally VALUES(new.state, 1) ON CONFLICT(name) DO UPDATE SET value = value + 1;"
    "END;"
    "CREATE TRIGGER count_gone AFTER DELETE ON jobs BEGIN"
    "  UPDATE tally SET value = value - 1 WHERE name = old.state;"
    "END;"
    "CREATE TRIGGER count_changed AFTER UPDATE OF state ON jobs WHEN new.state <> old.state BEGIN"
    "  UPDATE tally SET value = value - 1 WHERE name = old.state;"
    "  INSERT INTO tally VALUES(new.state, 1) ON CONFLICT(name) DO UPDATE SET value = value + 1;"
    "END;"
    "CREATE TRIGGER weigh_new AFTER INSERT ON results BEGIN"
    "  INSERT INTO tally VALUES('result bytes', new.bytes)"
    "    ON CONFLICT(name) DO UPDATE SET value = value + new.bytes;"
    "END;"
    "CREATE TRIGGER weigh_gone AFTER DELETE ON results BEGIN"
    "  UPDATE tally SET value = value - old.bytes WHERE name = 'result bytes';"
    "END;"};
constexpr auto kVersion = static_cast<int64_t>(kMigrations.size());

Result<int64_t> pragma(sqlite::Connection& db, const char* sql) {
  int64_t value = 0;
  Status read = db.each(sql, {}, [&](const sqlite::Row& row) {
    value = row.integer(0);
    return Status();
  });
  return read ? Result<int64_t>(value) : read.error();
}

Status check_identity(sqlite::Connection& db, const std::filesystem::path& path, int64_t version) {
  const auto tables = pragma(db, "SELECT count(*) FROM sqlite_schema");
  const auto application = pragma(db, "PRAGMA application_id");
  if (!tables) return tables.error();
  if (!application) return application.error();
  const bool empty = *tables == 0 && version == 0 && *application == 0;
  if (!empty && (*application != kApplicationId || version == 0)) {
    return Error{ErrorCode::kCorruptFile,
                 path.string() + ": is no database of Safelight's jobs; name another folder"};
  }
  if (version > kVersion) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: has version {}, made by a newer Safelight; this one knows {}. "
                             "Use the newer one",
                             path.string(), version, kVersion)};
  }
  return {};
}

Status check_whole(sqlite::Connection& db, const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) > kCheckedWhole) return {};
  return db.each("PRAGMA quick_check(1)", {}, [&](const sqlite::Row& row) {
    if (row.text(0) == "ok") return Status();
    return Status(Error{
        ErrorCode::kCorruptFile,
        fmt::format("{}: the database is damaged ({}); put a copy of the folder that is whole in "
                    "its place, or move the folder away to begin with an empty one",
                    path.string(), row.text(0))});
  });
}

Status migrate(sqlite::Connection& db, int64_t version) {
  for (; version < kVersion; ++version) {
    Status done = db.script(
        fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT",
                    kMigrations.at(static_cast<size_t>(version)), kApplicationId, version + 1));
    if (!done) return done;
  }
  return {};
}

}  // namespace

Result<bool> is_new_database(const std::filesystem::path& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure && failure != std::errc::no_such_file_or_directory) {
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot look at it: {}", path.string(), failure.message())};
  }
  return failure || size == 0;
}

Result<std::unique_ptr<sqlite::Connection>> open_database(const std::filesystem::path& path) {
  auto opened = sqlite::Connection::open(path, false);
  if (!opened) return opened;
  sqlite::Connection& db = **opened;
  const auto version = pragma(db, "PRAGMA user_version");
  if (!version) return version.error();
  if (Status good = check_identity(db, path, *version); !good) return good.error();
  if (Status good = check_whole(db, path); !good) return good.error();
  if (Status set = db.script(kSettings); !set) return set.error();
  if (Status done = migrate(db, *version); !done) return done.error();
  return opened;
}

}  // namespace safelight::jobs
