#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "jobs/redis_events.h"
#include "jobs/redis_store.h"
#include "jobs/service.h"

namespace safelight::jobs {

/// Makes the processes that share a RedisStore one service: what happens to jobs in one is seen by
/// watchers in all, work wakes idle dispatchers, cancels reach the worker.
///
/// Changes of state come from the stream that the store's scripts write, none is missed: after a
/// break of the connection it is read from where it was left. Progress, previews and pictures of
/// jobs that run here go over a channel, progress and previews at most once a job in 100 ms, and
/// are lost while there is no connection.
class RedisRelay {
 public:
  /// Runs until destroyed. `service` must outlive it, and use `store`.
  RedisRelay(Service& service, std::shared_ptr<RedisStore> store);
  ~RedisRelay();
  RedisRelay(const RedisRelay&) = delete;
  RedisRelay& operator=(const RedisRelay&) = delete;

 private:
  void keep(const EventPtr& event);  ///< on the publishing thread
  void send_loop();
  void listen_loop();
  /// Listens over one connection until it breaks or the end.
  Status listen();
  /// Reads the stream up to its end.
  Status catch_up();
  Status skip_to_end();  ///< when first connected: what was before is of no interest
  void take(const StreamEntry& entry);
  void take(std::string_view message);
  /// Whether what this process did itself overtook it: it was told of that without the stream.
  bool is_past(const Event& event);
  void publish(Event event);
  /// Whether the stream dropped events that this process has not read.
  Result<bool> missed();
  /// Then: asks for the state of each job that is known here.
  void ask_again();
  void learn(const Event& event);

  Service& service_;
  const std::shared_ptr<RedisStore> store_;
  const std::string stream_, channel_;
  int wake_fd_;
  std::atomic<bool> ending_ = false;
  // Of the listening thread.
  std::string last_id_;
  bool work_came_ = false;
  std::map<std::string, Time> begun_;  ///< first progress of jobs that run elsewhere

  std::mutex mutex_;
  std::condition_variable waiting_;
  std::vector<EventPtr> unsent_;
  EventHub::Subscription subscription_;
  std::thread sender_, listener_;
};

}  // namespace safelight::jobs
