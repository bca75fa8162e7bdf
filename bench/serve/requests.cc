#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "load.h"

namespace safelight::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using asio::use_awaitable;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// One keep-alive connection.
class Client {
 public:
  Client(asio::io_context& context, const Target& target) : stream_(context), target_(target) {}

  asio::awaitable<void> connect() {
    const auto address = asio::ip::make_address(target_.host);
    const auto port = static_cast<uint16_t>(std::stoi(target_.port));
    co_await stream_.async_connect(asio::ip::tcp::endpoint(address, port), use_awaitable);
    stream_.socket().set_option(asio::ip::tcp::no_delay(true));
  }

  asio::awaitable<int> send(http::verb method, const std::string& path, const std::string& body) {
    http::request<http::string_body> request{method, path, 11};
    request.set(http::field::host, target_.host + ":" + target_.port);
    if (!target_.key.empty()) request.set(http::field::authorization, "Bearer " + target_.key);
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    co_await http::async_write(stream_, request, use_awaitable);
    http::response<http::string_body> response;
    co_await http::async_read(stream_, buffer_, response, use_awaitable);
    co_return response.result_int();
  }

 private:
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  Target target_;
};

struct Tally {
  Latencies latencies;
  int64_t errors = 0;
};

}  // namespace

json::object poll(const Target& target, const std::vector<std::string>& paths, double rate,
                  int connections, double seconds) {
  asio::io_context context(1);
  Tally tally;
  const auto begin = Clock::now();
  const auto every = std::chrono::duration<double>(connections / rate);
  const auto one = [&](int index) -> asio::awaitable<void> {
    Client client(context, target);
    co_await client.connect();
    asio::steady_timer timer(context);
    auto due = begin + std::chrono::duration_cast<Clock::duration>(every * index / connections);
    for (size_t i = static_cast<size_t>(index);; ++i) {
      due += std::chrono::duration_cast<Clock::duration>(every);
      if (due > begin + std::chrono::duration<double>(seconds)) co_return;
      if (due > Clock::now()) {
        timer.expires_at(due);
        co_await timer.async_wait(use_awaitable);
      }
      const int status = co_await client.send(http::verb::get, paths[i % paths.size()], "");
      tally.latencies.add(ms_since(due));
      if (status != 200) ++tally.errors;
    }
  };
  for (int i = 0; i < connections; ++i) {
    asio::co_spawn(context, one(i), [&](const std::exception_ptr& failure) {
      if (failure) ++tally.errors;
    });
  }
  context.run();
  return {{"rate", static_cast<double>(tally.latencies.count()) / seconds},
          {"errors", tally.errors},
          {"latency_ms", tally.latencies.summary()}};
}

json::object submit(const Target& target, const std::string& body, int count, int connections) {
  asio::io_context context(1);
  Tally tally;
  int left = count;
  const auto one = [&]() -> asio::awaitable<void> {
    Client client(context, target);
    co_await client.connect();
    while (left-- > 0) {
      const auto begin = Clock::now();
      const int status = co_await client.send(http::verb::post, "/api/v1/jobs", body);
      tally.latencies.add(ms_since(begin));
      if (status != 202) ++tally.errors;
    }
  };
  const auto begin = Clock::now();
  for (int i = 0; i < connections; ++i) {
    asio::co_spawn(context, one(), [&](const std::exception_ptr& failure) {
      if (failure) ++tally.errors;
    });
  }
  context.run();
  return {{"errors", tally.errors},
          {"latency_ms", tally.latencies.summary()},
          {"seconds", ms_since(begin) / 1000}};
}

}  // namespace safelight::bench
