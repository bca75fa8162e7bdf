#include "jobs/service.h"

#include <algorithm>

namespace safelight::jobs {
namespace {

/// So many queued jobs are told their position; those behind wait long anyway.
constexpr size_t kMostPositions = 1000;

Event state_event(const std::string& id, const std::string& owner, State state) {
  return {.kind = Event::Kind::kState, .job = id, .owner = owner, .state = state};
}

}  // namespace

Service::Service(std::shared_ptr<Store> store) : store_(std::move(store)) {}

Result<std::vector<Accepted>> Service::submit(const std::vector<NewJob>& jobs) {
  auto accepted = store_->submit(jobs);
  if (!accepted) return accepted;
  for (size_t i = 0; i < accepted->size(); ++i) {
    const Accepted& job = (*accepted)[i];
    if (!job.repeated) hub_.publish(state_event(job.id, jobs[i].owner, State::kQueued));
  }
  work_came();
  return accepted;
}

Result<State> Service::cancel(const std::string& id, CancelMode mode) {
  const auto before = store_->find(id);
  if (!before) return before.error();
  auto state = store_->cancel(id, mode);
  if (!state) return state;
  if (before->state == State::kQueued && *state == State::kCancelled) {
    hub_.publish(state_event(id, before->asked.owner, State::kCancelled));
  }
  if (*state != State::kRunning) return state;
  cancel_came(id, mode);
  return state;
}

Result<std::vector<Change>> Service::sweep() {
  auto changes = store_->sweep();
  if (!changes) return changes;
  for (const Change& change : *changes) {
    hub_.publish(state_event(change.job, change.owner, change.state));
  }
  return changes;
}

void Service::on_work(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wakers_.push_back(std::move(wake));
}

void Service::on_cancel(std::function<void(const std::string&, CancelMode)> cancel) {
  const std::lock_guard lock(mutex_);
  cancellers_.push_back(std::move(cancel));
}

void Service::work_came() {
  std::vector<std::function<void()>> wakers;
  {
    const std::lock_guard lock(mutex_);
    wakers = wakers_;
  }
  for (const auto& wake : wakers) wake();
}

void Service::cancel_came(const std::string& job, CancelMode mode) {
  std::vector<std::function<void(const std::string&, CancelMode)>> cancellers;
  {
    const std::lock_guard lock(mutex_);
    cancellers = cancellers_;
  }
  for (const auto& cancel : cancellers) cancel(job, mode);
}

Status Service::refresh_positions() {
  const auto order = store_->order(kMostPositions);
  if (!order) return order.error();
  // Work that runs now ends before the first of the queue begins.
  double seconds = 0;
  for (const auto& [id, job] : hub_.unfinished()) {
    if (job.state == State::kRunning) seconds = std::max(seconds, job.eta_seconds);
  }
  const std::lock_guard lock(queued_mutex_);
  std::unordered_map<std::string, request::Request> queued;
  for (size_t i = 0; i < order->size(); ++i) {
    const std::string& id = (*order)[i];
    if (auto known = queued_.extract(id)) {
      queued.insert(std::move(known));
    } else if (auto job = store_->find(id)) {
      queued.emplace(id, std::move(job->asked.request));
    }
    const auto request = queued.find(id);
    const double own = request == queued.end() ? -1 : eta_.estimate(request->second);
    seconds = own < 0 || seconds < 0 ? -1 : seconds + own;
    hub_.set_position(id, static_cast<int64_t>(i) + 1, seconds);
  }
  queued_ = std::move(queued);
  return {};
}

}  // namespace safelight::jobs
