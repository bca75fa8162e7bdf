#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "jobs/store.h"

namespace safelight::jobs {

struct SqliteStoreOptions {
  std::filesystem::path folder;  ///< of this server alone; made when it is not there
  Retention retention;
};

/// The store of a server on one machine: `jobs.db`, the results in `results/` and a lock in one
/// folder. Jobs that ran when the server before this one ended are queued again. Leases are judged
/// by the time since the machine was started, deadlines by the system's clock. Errors: kConflict
/// when another server uses the folder, kCorruptFile when the database is damaged or missing beside
/// its results, kUnsupported when a newer Safelight made it, kIo. Nothing is replaced then.
Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteStoreOptions& options);

}  // namespace safelight::jobs
