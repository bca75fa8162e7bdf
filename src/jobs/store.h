#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jobs/job.h"

namespace safelight::jobs {

/// A job's right to be run by one worker for a while. The first commit of a lease that is still
/// held wins; what comes of a lost one is dropped. One that ran out is held until a sweep takes the
/// job back.
struct Lease {
  std::string job;
  int attempt = 0;
  std::string worker;
};

struct Claim {
  Lease lease;
  Job job;
};

struct ClaimOptions {
  std::string worker;  ///< unique name
  std::string
      loaded_model;  ///< sha256 (or name) of the model that the worker has loaded; may be ""
  int64_t lease_ms = 15'000;
  /// How long the jobs of the loaded model may go before others that came earlier.
  int64_t patience_ms = 10'000;
  std::string policy = "off";  ///< of the worker's guard: jobs of another one are not for it
};

/// A picture with its bytes, as a worker hands it in.
struct FinishedPicture {
  ResultFile file;   ///< its sha256 and bytes are checked against `data`
  std::string data;  ///< the encoded file
};

/// How an attempt ended.
struct Outcome {
  State state = State::kSucceeded;  ///< a final state
  std::optional<JobError> error;    ///< when not kSucceeded
  std::vector<FinishedPicture> pictures;
};

struct Accepted {
  std::string id;
  bool repeated = false;  ///< the idempotency key named a job that there was already
};

/// Which jobs to list, newest first.
struct JobQuery {
  std::optional<std::string> owner;  ///< of all owners when not given
  std::vector<State> states;         ///< any when empty
  std::string before;                ///< only ids smaller than this; empty for the newest
  size_t limit = 50;
};

/// What was written down about a job: its changes of state.
struct StoredEvent {
  int64_t sequence = 0;  ///< grows within a job
  Time time = 0;
  std::string type;    ///< "queued", "running", "requeued", "cancel_requested", a final state
  std::string detail;  ///< for people; may be empty
};

struct RenewedLease {
  bool held = false;  ///< false: somebody else has the job, or it has ended; stop working on it
  CancelMode cancel = CancelMode::kNone;
};

/// A change that a sweep or another server made, for those who watch.
struct Change {
  std::string job, owner;
  State state = State::kQueued;
};

struct QueueCounts {
  std::map<State, int64_t> jobs;
  double queued_cost = 0;  ///< megapixel-steps that wait
};

/// For how long results and their jobs are kept; 0 for ever.
struct Retention {
  int64_t max_age_ms = 0;
  uint64_t max_bytes = 0;  ///< of result files; the oldest go first
};

/// Where jobs live. Whatever a call that changes something returns well survives a crash of the
/// machine: it was synced. Calls block (on disk or network) and may come from any thread. Errors:
/// kIo for disk or network, with the remedy; kNotFound for ids that there are not;
/// kConflict for an idempotency key that was used for a request with another fingerprint.
class Store {
 public:
  virtual ~Store() = default;

  /// Accepts all or none, at most 1,000. Ids grow in the order of acceptance.
  virtual Result<std::vector<Accepted>> submit(const std::vector<NewJob>& jobs) = 0;
  virtual Result<Job> find(const std::string& id) = 0;
  /// By the name that the client gave, newest first.
  virtual Result<Job> find_client_id(const std::string& owner, const std::string& client_id) = 0;
  virtual Result<std::vector<Job>> list(const JobQuery& query) = 0;
  virtual Result<std::vector<StoredEvent>> events(const std::string& id) = 0;
  /// The bytes of a result of a job. Errors: kNotFound also when they were removed by retention,
  /// kCorruptFile when they do not match their hash.
  virtual Result<std::string> read_result(const std::string& id, int64_t index) = 0;

  /// The next job, fair between owners (deficit round robin over cost_of), by priority and age
  /// within one; nothing when none waits. Jobs of the loaded model go first, for no longer than
  /// patience_ms until whose turn it is gets it.
  virtual Result<std::optional<Claim>> claim(const ClaimOptions& options) = 0;
  virtual Result<RenewedLease> renew(const Lease& lease, int64_t lease_ms) = 0;
  /// Ends the job with its results, once: false when the lease was lost, and nothing changed.
  /// Errors: kInvalidArgument for a state that is not final, an error without need or a missing
  /// one, results that are not what is told of them.
  virtual Result<bool> finish(const Lease& lease, const Outcome& outcome) = 0;
  /// Puts the job back into the queue, at its old place. `counted`: the attempt counts (a crash);
  /// after the last attempt the job fails with `reason`. Where a cancel was asked for, it is
  /// cancelled instead. False when the lease was lost.
  virtual Result<bool> give_back(const Lease& lease, bool counted, const std::string& reason) = 0;

  /// A queued job is cancelled at once, a running one asked to end (the last mode counts); a final
  /// one stays. The state after it.
  virtual Result<State> cancel(const std::string& id, CancelMode mode) = 0;
  /// Takes back what dead workers held (a counted attempt), expires what is past its deadline,
  /// queued or running, applies retention. What changed, also by earlier calls that found a job
  /// past its deadline.
  virtual Result<std::vector<Change>> sweep() = 0;
  virtual Result<QueueCounts> counts() = 0;
  /// Ids of queued jobs in the order in which they will start if nothing else comes and no loaded
  /// model goes first, the first `limit` of them.
  virtual Result<std::vector<std::string>> order(size_t limit) = 0;
  /// Megapixel-steps and pictures that an owner has asked for since `since`, for quotas; known for
  /// a month, whatever became of the jobs.
  struct Usage {
    int64_t pictures = 0;
    double cost = 0;
  };
  virtual Result<Usage> usage(const std::string& owner, Time since) = 0;
};

}  // namespace safelight::jobs
