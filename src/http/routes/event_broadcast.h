#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "api/principal.h"
#include "http/exchange.h"
#include "http/routes/preview_interest.h"
#include "jobs/events.h"

namespace safelight::http {

/// What a client wants to know of a job.
struct WatchWish {
  bool previews = false;
  std::chrono::milliseconds preview_interval{500};  ///< at most one in that time
  PreviewInterest::Hold hold;                       ///< previews are drawn for it
};

/// The sockets that watch jobs. Each event is turned into text once, which all of them share, on
/// one of the server's threads: the thread that published it does no more than queue it.
class EventBroadcast : public std::enable_shared_from_this<EventBroadcast> {
 public:
  /// A socket with its wishes, by job; "*" is all jobs. Used on its executor only.
  class Watcher {
   public:
    Watcher(Socket& socket, api::Principal principal, boost::asio::any_io_executor executor)
        : socket_(&socket), principal_(std::move(principal)), executor_(std::move(executor)) {}

    size_t wishes() const { return wishes_.size(); }
    bool watches(const std::string& job) const { return wishes_.contains(job); }

   private:
    friend class EventBroadcast;
    using Clock = std::chrono::steady_clock;
    void deliver(const jobs::Event& event, const std::shared_ptr<const std::string>& text,
                 bool of_all);
    bool may_preview(const jobs::Event& event, const WatchWish& wish);

    Socket* socket_;  ///< null after the client has gone
    api::Principal principal_;
    boost::asio::any_io_executor executor_;
    std::unordered_map<std::string, WatchWish> wishes_;
    std::unordered_map<std::string, Clock::time_point> previewed_;
  };
  using WatcherPtr = std::shared_ptr<Watcher>;

  /// To be called once, after the object is held by a shared_ptr.
  void listen(jobs::EventHub& hub);

  /// On the watcher's executor. A second wish for the same job replaces the first.
  void subscribe(const WatcherPtr& watcher, const std::string& job, WatchWish wish);
  void unsubscribe(const WatcherPtr& watcher, const std::string& job);
  /// No message is sent to its socket afterwards.
  void leave(const WatcherPtr& watcher);

 private:
  void on_event(const jobs::EventPtr& event);
  void send_pending();
  void forget(const WatcherPtr& watcher, const std::string& job);

  std::mutex mutex_;
  std::unordered_map<std::string, std::unordered_set<WatcherPtr>> by_job_;
  std::deque<jobs::EventPtr> pending_;
  bool sending_ = false;  ///< send_pending() is running or about to
  jobs::EventHub::Subscription subscription_;
};

}  // namespace safelight::http
