// The part of the driver that sees one claimed job to its end.
#include <fmt/format.h>

#include "jobs/driver.h"
#include "jobs/json_members.h"

namespace safelight::jobs {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

// For how long a worker may go on after it was told to drop its job. Loading a model cannot be
// stopped.
constexpr seconds kStopsWithin{2}, kStopsLoadingWithin{20};
constexpr milliseconds kRetryStore{500};
/// Runs that had to load their model longer than this say little of how long drawing takes: its
/// first picture packs weights.
constexpr double kQuickLoad = 0.01;

bool may_pass(ErrorCode code) {
  return code == ErrorCode::kIo || code == ErrorCode::kUnavailable || code == ErrorCode::kBusy;
}

const char* mode_name(CancelMode mode) {
  return mode == CancelMode::kInterrupt ? "interrupt" : "drop";
}

}  // namespace

void Driver::claim() {
  ClaimOptions how{
      .worker = options_.name, .lease_ms = options_.lease_ms, .patience_ms = options_.patience_ms};
  {
    const std::lock_guard lock(mutex_);
    how.policy = status_.policy;
    if (!status_.models.empty()) {
      const LoadedModel& model = status_.models.front();
      how.loaded_model = model.sha256.empty() ? model.name : model.sha256;
    }
  }
  auto claimed = service_.store().claim(how);
  claiming_.report(claimed ? Status() : claimed.error());
  if (claimed && *claimed) begin(std::move(**claimed));
}

void Driver::begin(Claim claim) {
  const auto now = Clock::now();
  const CancelMode cancelled = claim.job.cancel;
  auto job = std::make_shared<RunningJob>(std::move(claim), service_);
  const Job& asked = job->job();
  {
    const std::lock_guard lock(mutex_);
    running_ = job;
    status_.job = asked.id;
  }
  run_.emplace();
  run_->job = job;
  run_->begun = now;
  run_->renew_at = now + milliseconds(options_.lease_ms / 3);
  job->publish_state(State::kRunning,
                     fmt::format("attempt {} on {}", job->lease().attempt, options_.name));
  Delivery delivery = asked.asked.delivery;
  delivery.previews = delivery.previews || watched_.count(asked.id) > 0;
  run_->sent = process_
                   ->send({{{"kind", "run"},
                            {"job", asked.id},
                            {"attempt", job->lease().attempt},
                            {"request", request::to_json(asked.asked.request)},
                            {"delivery", to_json(delivery)},
                            {"model_sha256", asked.asked.model_sha256}},
                           {}})
                   .ok();
  if (cancelled != CancelMode::kNone) cancel_run(cancelled, StopReason::kAsked);
}

void Driver::cancel_run(CancelMode mode, StopReason why) {
  if (run_->ending || mode == CancelMode::kNone) return;
  if (run_->why == StopReason::kNone) run_->why = why;
  if (why == StopReason::kLeaseLost) run_->why = why;
  if (run_->cancel == mode || run_->cancel == CancelMode::kDrop) return;
  run_->cancel = mode;
  if (mode == CancelMode::kDrop) {
    run_->kill_at = Clock::now() + (run_->job->started() ? kStopsWithin : kStopsLoadingWithin);
  }
  const Lease& lease = run_->job->lease();
  if (process_) {
    (void)process_->send({{{"kind", "cancel"},
                           {"job", lease.job},
                           {"attempt", lease.attempt},
                           {"mode", mode_name(mode)}},
                          {}});
  }
}

void Driver::watch_run(Clock::time_point now) {
  const NewJob& asked = run_->job->job().asked;
  if (!run_->ending && run_->why == StopReason::kNone) {
    if (asked.timeout_ms > 0 && now >= run_->begun + milliseconds(asked.timeout_ms))
      cancel_run(CancelMode::kDrop, StopReason::kTimeout);
    if (asked.deadline > 0 && jobs::now() >= asked.deadline)
      cancel_run(CancelMode::kDrop, StopReason::kDeadline);
  }
  if (!run_->ending && run_->kill_at && now >= *run_->kill_at && process_) {
    spdlog::warn("{}: no answer to the cancel of {}; the worker is killed", options_.name,
                 run_->job->job().id);
    run_->kill_at.reset();
    process_->kill();
  }
  if (now >= run_->renew_at && run_->why != StopReason::kLeaseLost) renew(now);
}

void Driver::renew(Clock::time_point now) {
  const auto renewed = service_.store().renew(run_->job->lease(), options_.lease_ms);
  renewing_.report(renewed ? Status() : renewed.error());
  if (!renewed) {
    run_->renew_at = now + kRetryStore;
    return;
  }
  run_->renew_at = now + milliseconds(options_.lease_ms / 3);
  if (renewed->held) {
    cancel_run(renewed->cancel, StopReason::kAsked);
    return;
  }
  spdlog::warn("{}: job {} was given to another worker", options_.name, run_->job->job().id);
  if (run_->ending) {
    forget_run();
  } else {
    cancel_run(CancelMode::kDrop, StopReason::kLeaseLost);
  }
}

void Driver::note_end(const Message& ended) {
  if (!run_ || run_->ending || !speaks_of(ended.head, run_->job->lease())) return;
  failures_ = 0;
  if (run_->why == StopReason::kLeaseLost) {
    forget_run();
    return;
  }
  std::optional<Outcome> outcome = outcome_of(ended);
  if (!outcome) {
    bury("an end without a final state");
    return;
  }
  end_with(std::move(*outcome));
}

/// What the worker says of the end; nothing when that is no end.
std::optional<Outcome> Driver::outcome_of(const Message& ended) const {
  const json::value head = ended.head;
  MemberReader reader(head, "ended");
  std::string state, code, text;
  double taken = 0;
  reader.get("state", state).get("seconds", taken);
  const std::optional<State> found = find_state(state);
  if (!reader.status() || !found || !is_final(*found)) return std::nullopt;
  if (*found == State::kCancelled && run_->why != StopReason::kNone) return stopped(run_->why);
  Outcome outcome{.state = *found};
  if (*found != State::kSucceeded) {
    if (const json::value* error = reader.find("error"))
      MemberReader(*error, "error").get("code", code).get("message", text);
    outcome.error = JobError{find_error_code(code), text};
    return outcome;
  }
  const request::Request& request = run_->job->job().asked.request;
  if (run_->job->load_seconds() < kQuickLoad || service_.eta().estimate(request) < 0)
    service_.eta().learn(request, taken);
  return outcome;
}

/// The outcome of a run that was made to end.
Outcome Driver::stopped(StopReason why) const {
  const NewJob& asked = run_->job->job().asked;
  if (why == StopReason::kTimeout) {
    return {.state = State::kFailed,
            .error = JobError{ErrorCode::kCancelled,
                              fmt::format("stopped after {:.1f} s, the job's timeout",
                                          static_cast<double>(asked.timeout_ms) / 1000)}};
  }
  if (why == StopReason::kDeadline) {
    return {.state = State::kExpired,
            .error = JobError{ErrorCode::kCancelled, "not finished by its deadline"}};
  }
  const bool kept = run_->cancel == CancelMode::kInterrupt;
  return {.state = State::kCancelled,
          .error = JobError{
              ErrorCode::kCancelled,
              kept ? "interrupted; the picture is kept as far as it was drawn" : "cancelled"}};
}

void Driver::end_with(Outcome outcome) {
  const Job& job = run_->job->job();
  outcome.pictures = run_->job->take_pictures();
  if (options_.save && job.asked.delivery.save) {
    for (FinishedPicture& picture : outcome.pictures) {
      auto saved = options_.save(job, picture);
      if (saved) {
        picture.file.saved_as = std::move(*saved);
      } else {
        spdlog::error("picture {} of {} is not in the output folder: {}", picture.file.index,
                      job.id, saved.error().message);
      }
    }
  }
  end_with(RunEnding{.outcome = std::move(outcome)});
}

void Driver::end_with(RunEnding ending) {
  run_->ending = std::move(ending);
  run_->commit_at = Clock::now();
}

void Driver::commit(Clock::time_point now) {
  const Lease& lease = run_->job->lease();
  const RunEnding& ending = *run_->ending;
  Store& store = service_.store();
  const auto done = ending.outcome ? store.finish(lease, *ending.outcome)
                                   : store.give_back(lease, ending.counted, ending.reason);
  committing_.report(done ? Status() : done.error());
  if (!done) {
    commit_failed(done.error(), now);
    return;
  }
  if (*done) {
    tell_end();
  } else {
    spdlog::warn("{}: the lease of {} was lost; its results are dropped", options_.name, lease.job);
  }
  forget_run();
}

void Driver::commit_failed(const Error& error, Clock::time_point now) {
  run_->commit_at = now + kRetryStore;
  if (may_pass(error.code)) return;
  // The store will never take it as it is.
  std::optional<Outcome>& outcome = run_->ending->outcome;
  if (!outcome || outcome->pictures.empty()) {
    forget_run();
    return;
  }
  *outcome = {.state = State::kFailed, .error = JobError{error.code, error.message}};
}

void Driver::tell_end() {
  RunningJob& job = *run_->job;
  const RunEnding& ending = *run_->ending;
  if (ending.outcome) {
    const std::optional<JobError>& error = ending.outcome->error;
    job.publish_state(ending.outcome->state, error ? error->message : "");
    const std::lock_guard lock(mutex_);
    ++status_.jobs_done;
    return;
  }
  // The store knows whether that was the last attempt.
  const auto found = service_.store().find(job.job().id);
  job.publish_state(found ? found->state : State::kQueued, ending.reason);
}

void Driver::forget_run() {
  watched_.erase(run_->job->job().id);
  run_.reset();
  idle_since_ = Clock::now();
  work_came_ = true;
  const std::lock_guard lock(mutex_);
  running_.reset();
  status_.job.clear();
}

/// The running job goes back to the queue now.
void Driver::stop_run() {
  if (!run_) return;
  if (!run_->ending) {
    if (process_) {
      process_->kill();
      forget_process();
    }
    end_with(RunEnding{.reason = "the server stops"});
  }
  commit(Clock::now());
  if (run_) forget_run();  // its lease runs out by itself
}

}  // namespace safelight::jobs
