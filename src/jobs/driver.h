#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "jobs/dispatcher.h"
#include "jobs/driver_inbox.h"
#include "jobs/running_job.h"
#include "jobs/trouble.h"
#include "jobs/worker_process.h"

namespace safelight::jobs {

/// Why a run was asked to end, the first reason counting.
enum class StopReason { kNone, kAsked, kTimeout, kDeadline, kLeaseLost };

/// How a run ends in the store: with an outcome, or back in the queue.
struct RunEnding {
  std::optional<Outcome> outcome;
  bool counted = false;  ///< of a job that goes back
  std::string reason;
};

/// A claimed job from its claim to its commit; the driving thread alone touches it.
struct ActiveRun {
  std::shared_ptr<RunningJob> job;
  std::chrono::steady_clock::time_point begun, renew_at;
  std::optional<std::chrono::steady_clock::time_point> kill_at;
  CancelMode cancel = CancelMode::kNone;  ///< that the worker was told
  StopReason why = StopReason::kNone;
  bool sent = false;  ///< to the worker
  std::optional<RunEnding> ending;
  std::chrono::steady_clock::time_point commit_at;
};

/// What a dispatcher's thread does: one loop that reacts to its inbox and to the clock. All but
/// status() belongs to that thread.
class Driver {
 public:
  Driver(Service& service, DispatcherOptions options);

  /// Until it is drained.
  void run();
  WorkerStatus status() const;  ///< any thread; never blocks for long
  std::string running() const;  ///< any thread: the job's id
  std::shared_ptr<DriverInbox> shared_inbox() { return inbox_; }

 private:
  using Clock = DriverInbox::Clock;

  // What comes in.
  void react(DriverInbox::Content content);
  void obey(Command command);
  void hear(const Message& message);
  void greet(const Message& ready);
  void note_models(const Message& loaded);
  void note_end(const Message& ended);
  void bury(const std::string& fault);

  // What is due by the clock.
  void tend(Clock::time_point now);
  void watch_run(Clock::time_point now);
  void renew(Clock::time_point now);
  void commit(Clock::time_point now);
  void look_for_work(Clock::time_point now);
  void tend_process(Clock::time_point now);
  Clock::time_point next_due(Clock::time_point now) const;

  // The run.
  void claim();
  void begin(Claim claim);
  void cancel_run(CancelMode mode, StopReason why);
  std::optional<Outcome> outcome_of(const Message& ended) const;
  Outcome stopped(StopReason why) const;
  void end_with(RunEnding ending);
  void end_with(Outcome outcome);
  void commit_failed(const Error& error, Clock::time_point now);
  void tell_end();
  void forget_run();
  void stop_run();

  // The process.
  void start_process(Clock::time_point now);
  void end_process();
  void forget_process();
  void drop_idle_models();
  void ask_models(Command command);
  void answer(int64_t id, const Status& status);
  void answer_all(const Error& error);
  void answer_unloads();

  Service& service_;
  const DispatcherOptions options_;
  std::shared_ptr<DriverInbox> inbox_;
  std::unique_ptr<WorkerProcess> process_;
  std::optional<ActiveRun> run_;
  std::map<int64_t, std::shared_ptr<std::promise<Status>>> asked_;  ///< loads and unloads, by id
  std::vector<Command> waiting_;                                    ///< for the worker to be ready
  std::set<std::string> watched_;  ///< jobs of which previews are wanted
  int64_t last_id_ = 0;
  bool end_process_wanted_ = false, ready_ = false, work_came_ = true;
  int failures_ = 0;  ///< of the process, one after the other
  Clock::time_point start_at_, ready_by_, look_at_, idle_since_;
  std::optional<Clock::time_point> drain_until_;
  Trouble claiming_{"claiming a job"}, renewing_{"renewing a job's lease"},
      committing_{"storing a job's results"}, starting_{"starting the worker"};

  mutable std::mutex mutex_;  ///< of what follows
  WorkerStatus status_;
  std::shared_ptr<RunningJob> running_;  ///< for the receiving thread
};

}  // namespace safelight::jobs
