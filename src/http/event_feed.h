#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "http/exchange.h"
#include "jobs/service.h"

namespace safelight::http {

/// Events of the hub for one coroutine: a bounded queue. When a reader is slow, progress and
/// previews of the same job replace each other; changes of state are never left out. A reader that
/// falls behind by thousands of those has lost the feed, and is told so.
class EventFeed {
 public:
  /// `job` empty: all jobs. To be made on the coroutine's executor.
  EventFeed(jobs::EventHub& hub, const std::string& job,
            const boost::asio::any_io_executor& executor);
  ~EventFeed();

  EventFeed(const EventFeed&) = delete;
  EventFeed& operator=(const EventFeed&) = delete;

  /// The next event; null after `timeout`, and at once when the feed is lost. One reader at a time.
  Awaitable<jobs::EventPtr> next(std::chrono::milliseconds timeout);
  /// Whether the reader was so slow that a change of state had no place any more: to be closed.
  bool lost() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
  jobs::EventHub::Subscription subscription_;
};

/// Waits until the job has ended or `timeout` has passed (0: for ever) or the client has gone; the
/// last known state, kFailed for a job that there is not. The job goes on in any case.
Awaitable<jobs::State> wait_for_end(Exchange& exchange, jobs::Service& service,
                                    const std::string& job, std::chrono::milliseconds timeout);

}  // namespace safelight::http
