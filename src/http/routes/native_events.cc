#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <chrono>

#include "api/native/job_json.h"
#include "api/native/watch_message.h"
#include "http/event_feed.h"
#include "http/routes/native_parts.h"
#include "http/routes/native_socket.h"
#include "http/routes/visible_job.h"

namespace safelight::http {
namespace {

namespace native = api::native;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Proxies end connections that are silent for about a minute.
constexpr milliseconds kHeartbeat{15'000};

/// The server-sent events of a job for one client. Changes of state come from the store, which
/// numbers them, so that a client that comes back gets each once, whichever server it asks.
class JobEvents {
 public:
  JobEvents(Exchange& exchange, api::Backend& backend, std::string job, int64_t last,
            WatchWish wish)
      : exchange_(exchange),
        backend_(backend),
        job_(std::move(job)),
        last_(last),
        wish_(std::move(wish)) {}

  /// Until the job has ended or the client has gone.
  Awaitable<void> run(EventFeed& feed, ReplyStream& out) {
    co_await send_stored(out);
    const auto live = backend_.jobs.hub().live(job_);
    if (!done_ && live) co_await send(out, "state", native::snapshot_text(job_, *live));
    while (!done_) {
      const jobs::EventPtr event = co_await feed.next(kHeartbeat);
      // The client comes back and goes on after the last event that it has.
      if (feed.lost()) co_return;
      if (event != nullptr) {
        co_await pass_on(out, *event);
      } else {
        co_await write(out, ": still here\n\n");
        if (!done_) co_await send_stored(out);
      }
    }
  }

 private:
  Awaitable<void> write(ReplyStream& out, std::string text) {
    const bool listens = co_await out.write(text);
    if (!listens) done_ = true;
  }

  Awaitable<void> send(ReplyStream& out, std::string_view type, std::string_view data) {
    co_await write(out, fmt::format("event: {}\ndata: {}\n\n", type, data));
  }

  /// Sends what the store has after the last event that was sent.
  Awaitable<void> send_stored(ReplyStream& out) {
    const auto read = [&] { return backend_.jobs.store().events(job_); };
    const auto events = co_await exchange_.blocking(read);
    if (!events) co_return;
    std::string text;
    bool ended = false;
    for (const jobs::StoredEvent& event : *events) {
      const auto state = jobs::find_state(event.type);
      ended = ended || (state && jobs::is_final(*state));
      if (event.sequence <= last_) continue;
      last_ = event.sequence;
      text += fmt::format("id: {}\nevent: state\ndata: {}\n\n", event.sequence,
                          boost::json::serialize(native::stored_event_json(job_, event)));
    }
    if (!text.empty()) co_await write(out, text);
    done_ = done_ || ended;
  }

  Awaitable<void> pass_on(ReplyStream& out, const jobs::Event& event) {
    switch (event.kind) {
      case jobs::Event::Kind::kState:
        co_await send_stored(out);
        if (!done_ && jobs::is_final(event.state)) {
          // The store of another server may be a moment behind.
          co_await send(out, "state", native::event_text(event));
          done_ = true;
        }
        break;
      case jobs::Event::Kind::kProgress:
        co_await send(out, "progress", native::event_text(event));
        break;
      case jobs::Event::Kind::kPicture:
        co_await send(out, "picture", native::event_text(event));
        break;
      case jobs::Event::Kind::kPreview: {
        const auto now = Clock::now();
        if (!wish_.previews || now < next_preview_) break;
        next_preview_ = now + wish_.preview_interval;
        co_await send(out, "preview", native::event_text(event));
        break;
      }
    }
  }

  Exchange& exchange_;
  api::Backend& backend_;
  std::string job_;
  int64_t last_;  ///< sequence of the last stored event that the client has
  WatchWish wish_;
  Clock::time_point next_preview_;
  bool done_ = false;
};

int64_t last_event_id(const Exchange& exchange) {
  const std::string_view text = exchange.header("Last-Event-ID");
  int64_t id = 0;
  const auto [rest, bad] = std::from_chars(text.data(), text.data() + text.size(), id);
  return bad == std::errc() && rest == text.data() + text.size() ? id : 0;
}

Awaitable<Reply> stream_events(Exchange& exchange, api::Backend& backend, WatchParts parts) {
  const std::string id(exchange.param("id"));
  constexpr int64_t kUsual = 500, kMost = 3'600'000;
  const auto interval =
      number_query(exchange, "preview_interval_ms", kUsual, native::kMinPreviewInterval, kMost);
  if (!interval) co_return error_reply(interval.error(), ErrorForm::kNative);
  const auto live = co_await find_live(exchange, backend, id);
  if (!live) co_return error_reply(live.error(), ErrorForm::kNative);
  WatchWish wish{.previews = flag_query(exchange, "previews"),
                 .preview_interval = milliseconds(*interval)};
  if (wish.previews && !jobs::is_final(live->state)) {
    const auto hold = [&] { wish.hold = parts.interest->hold(id); };
    co_await exchange.run_blocking(hold);
  }
  EventFeed feed(backend.jobs.hub(), id, co_await boost::asio::this_coro::executor);
  Reply head{.content_type = "text/event-stream"};
  head.headers.emplace_back("Cache-Control", "no-store");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  ReplyStream* out = co_await exchange.stream(std::move(head));
  JobEvents events(exchange, backend, id, last_event_id(exchange), std::move(wish));
  co_await events.run(feed, *out);
  co_return Reply{};
}

}  // namespace

void add_watch_routes(Router& router, api::Backend& backend) {
  const WatchParts parts{.broadcast = std::make_shared<EventBroadcast>(),
                         .interest = std::make_shared<PreviewInterest>(backend.workers)};
  parts.broadcast->listen(backend.jobs.hub());
  router.get(
      "/api/v1/jobs/{id}/events", {.access = Access::kViewer, .operation = "watchJob"},
      [&backend, parts](Exchange& exchange) { return stream_events(exchange, backend, parts); });
  router.socket("/api/v1/events", {.access = Access::kViewer, .operation = "watchEvents"},
                [&backend, parts](Exchange& exchange, Socket& socket) {
                  return watch_events(exchange, socket, backend, parts);
                });
}

}  // namespace safelight::http
