#include "jobs/events.h"

#include <algorithm>

namespace safelight::jobs {

/// Who listens to what. Held by the hub, and weakly by subscriptions, which may outlive it.
struct Listeners {
  struct Entry {
    std::string job;  ///< empty: all
    std::shared_ptr<const EventHub::Listener> listener;
  };
  std::recursive_mutex calling;  ///< held while listeners run: whoever unsubscribes waits for them
  std::mutex mutex;
  std::unordered_map<uint64_t, Entry> entries;
  uint64_t next_id = 1;
};

namespace {

/// For how long a job that ended is still known here, so that the last question finds an answer.
constexpr Time kKeptAfterEnd = 60'000;

}  // namespace

double Progress::fraction() const {
  if (batches <= 0) return 0;
  const double inner = steps > 0 ? static_cast<double>(step) / static_cast<double>(steps) : 0;
  const double done = (static_cast<double>(batch) + inner) / static_cast<double>(batches);
  return std::clamp(done, 0.0, 1.0);
}

EventHub::Subscription& EventHub::Subscription::operator=(Subscription&& other) noexcept {
  if (this == &other) return *this;
  reset();
  listeners_ = std::move(other.listeners_);
  id_ = other.id_;
  other.listeners_.reset();
  return *this;
}

void EventHub::Subscription::reset() {
  if (const auto listeners = listeners_.lock()) {
    const std::lock_guard none_runs(listeners->calling);
    const std::lock_guard lock(listeners->mutex);
    listeners->entries.erase(id_);
  }
  listeners_.reset();
}

EventHub::EventHub() : listeners_(std::make_shared<Listeners>()) {}

EventHub::Subscription EventHub::subscribe(const std::string& job, Listener listener) {
  const std::lock_guard lock(listeners_->mutex);
  Subscription subscription;
  subscription.listeners_ = listeners_;
  subscription.id_ = listeners_->next_id++;
  listeners_->entries[subscription.id_] = {job,
                                           std::make_shared<const Listener>(std::move(listener))};
  return subscription;
}

void EventHub::update(const EventPtr& event) {
  const auto [found, is_new] = live_.try_emplace(event->job);
  LiveJob& job = found->second;
  if (!is_new) index(event->job, job, false);
  if (!event->owner.empty()) job.owner = event->owner;
  if (event->kind == Event::Kind::kState) {
    job.state = event->state;
    if (event->state == State::kQueued) job.progress = {};
    if (event->state == State::kQueued && job.created == 0) job.created = event->time;
    if (event->state == State::kRunning) {
      job.started = event->time;
      job.position = 0;
    }
    if (is_final(event->state)) {
      ended_.emplace_back(event->time, event->job);
      job.preview = nullptr;
    }
  }
  if (event->kind == Event::Kind::kProgress) job.progress = event->progress;
  if (event->kind == Event::Kind::kPreview) job.preview = event;
  job.eta_seconds = event->eta_seconds;
  index(event->job, job, true);
  while (!ended_.empty() && ended_.front().first + kKeptAfterEnd < event->time) {
    const auto old = live_.find(ended_.front().second);
    if (old != live_.end() && is_final(old->second.state)) live_.erase(old);
    ended_.pop_front();
  }
}

void EventHub::index(const std::string& id, const LiveJob& job, bool add) {
  const auto change = [&](std::set<std::string>& ids) {
    if (add) {
      ids.insert(id);
    } else {
      ids.erase(id);
    }
  };
  if (job.state == State::kRunning) {
    change(running_);
  } else if (job.state == State::kQueued) {
    std::set<std::string>& ids = queued_of_[job.owner];
    queued_ -= ids.size();
    change(ids);
    queued_ += ids.size();
    if (ids.empty()) queued_of_.erase(job.owner);
  }
}

EventHub::Activity EventHub::activity(const std::string& owner) const {
  const std::lock_guard lock(mutex_);
  Activity activity;
  activity.queued = queued_;
  for (const std::string& id : running_) activity.running.emplace_back(id, live_.at(id));
  const auto queued = queued_of_.find(owner);
  if (queued != queued_of_.end()) {
    const std::string& first = *queued->second.begin();
    activity.next.emplace(first, live_.at(first));
  }
  return activity;
}

void EventHub::publish(Event event) {
  // Held until the listeners were called: all hear of events in the order of their numbers.
  const std::lock_guard lock(mutex_);
  event.sequence = ++sequence_;
  if (event.time == 0) event.time = now();
  const auto shared = std::make_shared<const Event>(std::move(event));
  update(shared);
  const std::lock_guard calling(listeners_->calling);
  std::vector<std::shared_ptr<const Listener>> called;
  {
    const std::lock_guard listeners_lock(listeners_->mutex);
    for (const auto& [id, entry] : listeners_->entries) {
      if (entry.job.empty() || entry.job == shared->job) called.push_back(entry.listener);
    }
  }
  for (const auto& listener : called) (*listener)(shared);
}

std::optional<LiveJob> EventHub::live(const std::string& job) const {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(job);
  if (found == live_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::pair<std::string, LiveJob>> EventHub::unfinished() const {
  std::vector<std::pair<std::string, LiveJob>> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : live_) {
      if (!is_final(job.state)) jobs.emplace_back(id, job);
    }
  }
  std::sort(jobs.begin(), jobs.end(), [](const auto& a, const auto& b) {
    const bool a_runs = a.second.state == State::kRunning;
    const bool b_runs = b.second.state == State::kRunning;
    if (a_runs != b_runs) return a_runs;
    return a.second.position != b.second.position ? a.second.position < b.second.position
                                                  : a.first < b.first;
  });
  return jobs;
}

void EventHub::set_position(const std::string& job, int64_t position, double eta_seconds) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(job);
  if (found == live_.end() || found->second.state != State::kQueued) return;
  found->second.position = position;
  found->second.eta_seconds = eta_seconds;
}

}  // namespace safelight::jobs
