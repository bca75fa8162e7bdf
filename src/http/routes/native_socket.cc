#include "http/routes/native_socket.h"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>

#include "api/native/job_json.h"
#include "api/native/watch_message.h"
#include "http/routes/visible_job.h"

namespace safelight::http {
namespace {

namespace native = api::native;

/// One client of the WebSocket, until it goes.
class Watch {
 public:
  Watch(Exchange& exchange, Socket& socket, api::Backend& backend, WatchParts parts,
        boost::asio::any_io_executor executor)
      : exchange_(exchange),
        socket_(socket),
        backend_(backend),
        parts_(std::move(parts)),
        watcher_(std::make_shared<EventBroadcast::Watcher>(socket, exchange.principal(),
                                                           std::move(executor))) {}
  ~Watch() { parts_.broadcast->leave(watcher_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Awaitable<void> run() {
    for (;;) {
      const auto text = co_await socket_.receive();
      if (!text) co_return;
      const auto message = native::read_watch_message(*text);
      if (!message) {
        say(native::watch_error(message.error()));
        continue;
      }
      for (const std::string& job : message->jobs) {
        if (message->subscribe) {
          co_await subscribe(job, *message);
        } else {
          parts_.broadcast->unsubscribe(watcher_, job);
          say(native::watch_answer("unsubscribed", job));
        }
      }
    }
  }

 private:
  void say(std::string text) { socket_.send(std::make_shared<const std::string>(std::move(text))); }

  Awaitable<void> subscribe(const std::string& job, const native::WatchMessage& message) {
    if (watcher_->wishes() >= native::kMaxSubscriptions && !watcher_->watches(job)) {
      const Error error{ErrorCode::kBusy,
                        fmt::format("this socket watches {} jobs, the most it may; unsubscribe "
                                    "from others or subscribe to \"*\"",
                                    native::kMaxSubscriptions)};
      say(native::watch_error(error, job));
      co_return;
    }
    WatchWish wish{.previews = message.previews,
                   .preview_interval = std::chrono::milliseconds(message.preview_interval_ms)};
    if (job == "*") {
      parts_.broadcast->subscribe(watcher_, job, std::move(wish));
      say(native::watch_answer("subscribed", job));
      co_return;
    }
    auto live = co_await find_live(exchange_, backend_, job);
    if (!live) {
      say(native::watch_error(live.error(), job));
      co_return;
    }
    if (wish.previews && !jobs::is_final(live->state)) {
      const auto hold = [&] { wish.hold = parts_.interest->hold(job); };
      co_await exchange_.run_blocking(hold);
    }
    parts_.broadcast->subscribe(watcher_, job, std::move(wish));
    say(native::watch_answer("subscribed", job));
    // What happened before the subscription is in the state as of now.
    say(native::snapshot_text(job, backend_.jobs.hub().live(job).value_or(*live)));
  }

  Exchange& exchange_;
  Socket& socket_;
  api::Backend& backend_;
  WatchParts parts_;
  EventBroadcast::WatcherPtr watcher_;
};

}  // namespace

Awaitable<void> watch_events(Exchange& exchange, Socket& socket, api::Backend& backend,
                             WatchParts parts) {
  Watch watch(exchange, socket, backend, std::move(parts),
              co_await boost::asio::this_coro::executor);
  co_await watch.run();
}

}  // namespace safelight::http
