#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/eta.h"
#include "jobs/events.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// What servers do with jobs: the store, its events and its estimates in one. Calls that reach the
/// store block; `hub()` and `live()` never do. Any thread.
class Service {
 public:
  explicit Service(std::shared_ptr<Store> store);

  /// Accepts the jobs, durably, and tells watchers and whoever waits for work.
  Result<std::vector<Accepted>> submit(const std::vector<NewJob>& jobs);
  Result<State> cancel(const std::string& id, CancelMode mode = CancelMode::kDrop);
  Result<std::vector<Change>> sweep();

  Store& store() { return *store_; }
  EventHub& hub() { return hub_; }
  EtaEstimator& eta() { return eta_; }

  /// Called on the submitting thread when there may be work; for dispatchers.
  void on_work(std::function<void()> wake);
  /// Called when a running job is to be cancelled.
  void on_cancel(std::function<void(const std::string& job, CancelMode mode)> cancel);

  // What another process did, as the relay of a shared store hears it: calls those who asked above.
  void work_came();
  void cancel_came(const std::string& job, CancelMode mode);

  /// Renews positions and ETAs of queued jobs in the hub; called when the queue changes, at most
  /// a few times a second.
  Status refresh_positions();

 private:
  std::shared_ptr<Store> store_;
  EventHub hub_;
  EtaEstimator eta_;
  std::mutex mutex_;
  std::vector<std::function<void()>> wakers_;
  std::vector<std::function<void(const std::string&, CancelMode)>> cancellers_;
  std::mutex queued_mutex_;
  /// Requests of the jobs whose position was told last: each is asked of the store once.
  std::unordered_map<std::string, request::Request> queued_;
};

}  // namespace safelight::jobs
