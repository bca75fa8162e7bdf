#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/service.h"

namespace safelight::jobs {

/// A model in a worker's memory.
struct LoadedModel {
  std::string name, sha256;
  uint64_t bytes = 0;
  bool pinned = false;
};

/// What a worker is doing, for status pages and metrics.
struct WorkerStatus {
  std::string name;
  int process = 0;  ///< its pid; 0 while it is not running
  bool ready = false;
  std::string device, policy;
  std::string job;  ///< that it runs; empty when idle
  std::vector<LoadedModel> models;
  std::string current_model;
  uint64_t resident_bytes = 0;
  int64_t restarts = 0, jobs_done = 0;
};

struct DispatcherOptions {
  std::string name;                  ///< of the worker, unique among all that share the store
  std::vector<std::string> command;  ///< argv of the worker; its channel is file descriptor 3
  int64_t lease_ms = 15'000;
  int64_t patience_ms = 10'000;
  uint64_t memory_budget = 0;  ///< bytes of loaded models; 0: what the engine says
  int64_t idle_seconds = 0;    ///< models are unloaded, by ending the process, after; 0 never
  std::vector<std::string> pinned;
  int niceness = 5;  ///< of the worker: answers go before steps
  /// Called for each picture of a job with `delivery.save`, before the job's end is committed; its
  /// result becomes ResultFile::saved_as. May be empty. A failure is logged, the job still
  /// succeeds: its results are in the store.
  std::function<Result<std::string>(const Job& job, const FinishedPicture& picture)> save;
};

/// Claims jobs from the store and has one worker process draw them: starts it when there is work,
/// renews leases, passes cancels and timeouts on (kills a worker that does not answer them), gives
/// a job back when its worker dies, commits results, publishes events. Runs on threads of its own.
class Dispatcher {
 public:
  Dispatcher(Service& service, DispatcherOptions options);
  /// Ends at once: the running job goes back to the queue, uncounted.
  ~Dispatcher();

  Status start();
  /// Takes no further job; the running one is given `grace_ms` to end, then goes back to the queue.
  void drain(int64_t grace_ms);

  WorkerStatus status() const;  ///< never blocks
  /// Ends the running job's picture, keeping what is done; true when that job runs here.
  bool skip(const std::string& job);
  /// Loads a model now. Blocks until it is loaded. Errors: those of loading.
  Status load(const std::string& model);
  /// Drops one model, or with an empty name all of them and the process with them.
  Status unload(const std::string& model);
  void watch_previews(const std::string& job, bool wanted);

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace safelight::jobs
