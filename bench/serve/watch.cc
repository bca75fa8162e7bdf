#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "load.h"

namespace safelight::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
namespace json = boost::json;
using asio::use_awaitable;

constexpr int64_t kDay = 86'400'000;

int64_t now_of_day() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
             .count() %
         kDay;
}

/// Milliseconds of the day of "2026-11-24T18:51:50.123Z"; negative for other text.
int64_t of_day(const std::string& text) {
  int hour = 0, minute = 0, second = 0, ms = 0;
  const char* time = text.size() > 11 ? text.c_str() + 11 : "";
  if (std::sscanf(time, "%d:%d:%d.%d", &hour, &minute, &second, &ms) != 4) return -1;
  return ((hour * 60 + minute) * 60 + second) * int64_t{1000} + ms;
}

/// What all sockets saw.
struct Seen {
  Latencies delays;
  int64_t open = 0, errors = 0;
  std::vector<int64_t> events;  ///< by socket
};

class Watcher {
 public:
  Watcher(asio::io_context& context, Seen& seen, size_t index)
      : socket_(context), seen_(seen), index_(index) {}

  asio::awaitable<void> run(const Target& target, const std::string& job) {
    const auto address = asio::ip::make_address(target.host);
    const auto port = static_cast<uint16_t>(std::stoi(target.port));
    auto& stream = beast::get_lowest_layer(socket_);
    co_await stream.async_connect(asio::ip::tcp::endpoint(address, port), use_awaitable);
    if (!target.key.empty()) {
      socket_.set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
        request.set(beast::http::field::authorization, "Bearer " + target.key);
      }));
    }
    co_await socket_.async_handshake(target.host + ":" + target.port, "/api/v1/events",
                                     use_awaitable);
    const std::string hello = json::serialize(json::object{{"subscribe", job}});
    co_await socket_.async_write(asio::buffer(hello), use_awaitable);
    ++seen_.open;
    while (true) {
      beast::flat_buffer buffer;
      co_await socket_.async_read(buffer, use_awaitable);
      const int64_t arrived = now_of_day();
      boost::system::error_code wrong;
      const json::value event = json::parse(beast::buffers_to_string(buffer.data()), wrong);
      const json::value* time = wrong ? nullptr : event.if_object()->if_contains("time");
      if (time == nullptr || !time->is_string()) continue;
      const int64_t happened = of_day(std::string(time->get_string()));
      seen_.delays.add(static_cast<double>((arrived - happened + kDay) % kDay));
      ++seen_.events[index_];
    }
  }

 private:
  websocket::stream<beast::tcp_stream> socket_;
  Seen& seen_;
  size_t index_;
};

}  // namespace

json::object watch(const Target& target, const std::string& job, int sockets, double seconds) {
  asio::io_context context(1);
  Seen seen;
  seen.events.resize(static_cast<size_t>(sockets));
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < sockets; ++i) {
    watchers.push_back(std::make_unique<Watcher>(context, seen, static_cast<size_t>(i)));
    asio::co_spawn(context, watchers.back()->run(target, job),
                   [&](const std::exception_ptr& failure) {
                     if (failure) ++seen.errors;
                   });
  }
  context.run_for(std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  // Every socket subscribed before the job began: all must have seen as many events.
  const int64_t most = *std::max_element(seen.events.begin(), seen.events.end());
  int64_t missing = 0, total = 0;
  for (const int64_t events : seen.events) {
    missing += most - events;
    total += events;
  }
  return {{"sockets", seen.open}, {"errors", seen.errors}, {"events_a_socket", most},
          {"events", total},      {"missing", missing},    {"delay_ms", seen.delays.summary()}};
}

}  // namespace safelight::bench
