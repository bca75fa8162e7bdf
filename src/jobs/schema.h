#pragma once

#include <filesystem>
#include <memory>

#include "jobs/sqlite.h"

namespace safelight::jobs {

/// Opens the database of jobs for writing: makes it, brings an older one up to date, looks whether
/// it is whole. Errors: kCorruptFile for a damaged one or another program's, kUnsupported for that
/// of a newer Safelight, kIo. A database that cannot be used is left as it is.
Result<std::unique_ptr<sqlite::Connection>> open_database(const std::filesystem::path& path);

/// Whether open_database would begin with an empty one.
Result<bool> is_new_database(const std::filesystem::path& path);

}  // namespace safelight::jobs
