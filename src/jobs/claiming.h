#pragma once

#include <optional>
#include <vector>

#include "jobs/job_rows.h"
#include "jobs/live_jobs.h"
#include "jobs/sqlite.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// One claim(): takes the next job that can be run out of the queue and begins an attempt of it;
/// ends those on the way that cannot. The calls are those of a Write.
class Claiming {
 public:
  Claiming(LiveJobs& live, const ClaimOptions& options) : live_(live), options_(options) {}

  Status execute(sqlite::Connection& db);
  void committed();
  void abandoned();

  const std::optional<Claim>& claimed() const { return claimed_; }

 private:
  Status consider(sqlite::Connection& db, const rows::Head& head);
  Status end(sqlite::Connection& db, const rows::Head& head, State state, const JobError& error);

  LiveJobs& live_;
  const ClaimOptions& options_;
  std::vector<FairQueue::Entry> taken_;
  std::vector<Change> changes_;
  std::optional<rows::Head> chosen_;
  std::optional<Claim> claimed_;
};

}  // namespace safelight::jobs
