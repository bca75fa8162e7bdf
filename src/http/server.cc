#include "http/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "http/connection.h"
#include "http/core.h"
#include "http/listen.h"
#include "http/tls.h"

namespace safelight::http {
namespace asio = boost::asio;
using std::chrono::milliseconds;
using Tcp = asio::ip::tcp;

namespace {

/// After the grace: for handlers to see that their clients are gone.
constexpr milliseconds kLastWait{300};
/// When the system has no descriptor or memory left for a connection.
constexpr milliseconds kAcceptPause{100};
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nServer: Safelight\r\nRetry-After: 1\r\n"
    "Content-Length: 0\r\nConnection: close\r\n\r\n";

/// Deadlines are kept to a quarter of the shortest timeout.
milliseconds tick_period(const ServerOptions& options) {
  const milliseconds shortest =
      std::min({options.header_timeout, options.body_timeout, options.idle_timeout,
                options.write_timeout, options.ping_interval});
  return std::clamp(shortest / 4, milliseconds(10), milliseconds(250));
}

/// One thread of the server with its connections.
struct Shard {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::unordered_set<Connection*> connections;  ///< of this thread alone
};

void run_context(asio::io_context& context) {
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& thrown) {
      spdlog::error("the server goes on after: {}", thrown.what());
    }
  }
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, const Router& router, Gatekeeper& gatekeeper, Metrics& metrics)
      : core_(std::move(options), router, gatekeeper, metrics) {
    for (int i = 0; i < std::max(core_.options.threads, 1); ++i) {
      shards_.push_back(std::make_unique<Shard>());
    }
    describe(metrics);
  }

  ~Impl() {
    // Blocking work may still use what waiting coroutines own; those go with the contexts.
    core_.pool.join();
    acceptors_.clear();
    shards_.clear();
  }

  Status listen();
  std::string url() const { return url_; }
  std::vector<std::string> addresses() const {
    std::vector<std::string> literals;
    for (const Tcp::acceptor& acceptor : acceptors_)
      literals.push_back(acceptor.local_endpoint().address().to_string());
    return literals;
  }
  Status reload_tls();
  void run();
  void stop(milliseconds grace);

 private:
  void describe(Metrics& metrics);
  Awaitable<void> accept_loop(Tcp::acceptor& acceptor);
  void take(Shard& shard, Tcp::socket socket);
  Awaitable<void> serve(Shard& shard, Tcp::socket socket);
  Awaitable<void> tick_loop(Shard& shard);
  Awaitable<void> end(milliseconds grace);
  template <class Action>
  void for_all_connections(Action action);

  Core core_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Acceptors acceptors_;
  std::string url_;
  size_t next_shard_ = 0;
  std::mutex tls_mutex_;
  std::shared_ptr<asio::ssl::context> tls_;
  std::atomic<bool> ending_ = false;
};

void Server::Impl::describe(Metrics& metrics) {
  metrics.describe("safelight_http_requests_total", "Requests that were answered.");
  metrics.describe("safelight_http_request_seconds",
                   "From a request's head to the end of its answer; streams left out.");
  metrics.describe("safelight_http_connections", "Open connections.");
  metrics.describe("safelight_http_websockets", "Open WebSockets.");
  metrics.describe("safelight_http_refused_connections_total",
                   "Connections beyond the limit, answered with 503.");
  metrics.on_collect([counts = core_.counts](Metrics& into) {
    into.set("safelight_http_connections", {}, static_cast<double>(counts->connections));
    into.set("safelight_http_websockets", {}, static_cast<double>(counts->sockets));
  });
}

Status Server::Impl::listen() {
  const ServerOptions& options = core_.options;
  Result<TrustedProxies> proxies = TrustedProxies::parse(options.trusted_proxies);
  if (!proxies) return proxies.error();
  core_.proxies = std::move(*proxies);
  if (const Status s = reload_tls(); !s) return s;
  asio::io_context& context = shards_.front()->context;
  Result<Acceptors> acceptors = passed_sockets(context);
  if (acceptors && acceptors->empty()) {
    acceptors = listen_on(context, options.address, options.port);
  }
  if (!acceptors) return acceptors.error();
  acceptors_ = std::move(*acceptors);
  url_ = url_of(acceptors_.front().local_endpoint(), options.tls.has_value());
  return {};
}

Status Server::Impl::reload_tls() {
  if (!core_.options.tls) return {};
  auto context = make_tls_context(*core_.options.tls);
  if (!context) return context.error();
  const std::lock_guard lock(tls_mutex_);
  tls_ = std::move(*context);
  return {};
}

Awaitable<void> Server::Impl::accept_loop(Tcp::acceptor& acceptor) {
  asio::steady_timer pause(acceptor.get_executor());
  while (acceptor.is_open()) {
    Shard& shard = *shards_[next_shard_++ % shards_.size()];
    auto [failure, socket] = co_await acceptor.async_accept(
        asio::any_io_executor(shard.context.get_executor()), asio::as_tuple(asio::use_awaitable));
    if (!acceptor.is_open()) break;
    if (failure == asio::error::no_descriptors || failure == asio::error::no_memory) {
      spdlog::warn("no further connection: {}; raise the limit of open files", failure.message());
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (!failure) take(shard, std::move(socket));
  }
}

void Server::Impl::take(Shard& shard, Tcp::socket socket) {
  boost::system::error_code ignored;
  if (core_.counts->connections >= core_.options.max_connections) {
    core_.metrics.count("safelight_http_refused_connections_total", {});
    socket.non_blocking(true, ignored);
    if (!core_.options.tls) socket.send(asio::buffer(kFull), 0, ignored);
    return;
  }
  socket.set_option(Tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  ++core_.counts->connections;
  asio::co_spawn(shard.context, serve(shard, std::move(socket)), asio::detached);
}

Awaitable<void> Server::Impl::serve(Shard& shard, Tcp::socket socket) {
  std::shared_ptr<asio::ssl::context> tls;
  {
    const std::lock_guard lock(tls_mutex_);
    tls = tls_;
  }
  Connection connection(core_, std::move(socket), std::move(tls));
  shard.connections.insert(&connection);
  co_await connection.run();
  shard.connections.erase(&connection);
}

Awaitable<void> Server::Impl::tick_loop(Shard& shard) {
  asio::steady_timer timer(shard.context);
  while (!ending_) {
    timer.expires_after(tick_period(core_.options));
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    const Clock::time_point now = Clock::now();
    for (Connection* connection : shard.connections) connection->tick(now);
  }
}

void Server::Impl::run() {
  for (const auto& shard : shards_) {
    asio::co_spawn(shard->context, tick_loop(*shard), asio::detached);
  }
  for (Tcp::acceptor& acceptor : acceptors_) {
    asio::co_spawn(shards_.front()->context, accept_loop(acceptor), asio::detached);
  }
  std::vector<std::thread> threads;
  for (size_t i = 1; i < shards_.size(); ++i) {
    threads.emplace_back([this, i] { run_context(shards_[i]->context); });
  }
  run_context(shards_.front()->context);
  for (std::thread& thread : threads) thread.join();
}

template <class Action>
void Server::Impl::for_all_connections(Action action) {
  for (const auto& shard : shards_) {
    asio::post(shard->context, [&connections = shard->connections, action] {
      for (Connection* connection : connections) action(*connection);
    });
  }
}

void Server::Impl::stop(milliseconds grace) {
  if (core_.stopping.exchange(true)) return;
  asio::co_spawn(shards_.front()->context, end(grace), asio::detached);
}

Awaitable<void> Server::Impl::end(milliseconds grace) {
  boost::system::error_code ignored;
  for (Tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
  for_all_connections([](Connection& connection) { connection.wind_down(); });
  asio::steady_timer timer(shards_.front()->context);
  const auto wait_until = [&](Clock::time_point deadline) -> Awaitable<void> {
    while (core_.counts->connections > 0 && Clock::now() < deadline) {
      timer.expires_after(milliseconds(10));
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  };
  co_await wait_until(Clock::now() + grace);
  if (core_.counts->connections > 0) {
    spdlog::warn("{} connections are cut off at the end of the grace",
                 core_.counts->connections.load());
    for_all_connections([](Connection& connection) { connection.close(); });
    co_await wait_until(Clock::now() + kLastWait);
  }
  ending_ = true;
  for (const auto& shard : shards_) {
    shard->work.reset();
    shard->context.stop();
  }
}

Server::Server(ServerOptions options, const Router& router, Gatekeeper& gatekeeper,
               Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(options), router, gatekeeper, metrics)) {}

Server::~Server() = default;

Status Server::listen() { return impl_->listen(); }
std::string Server::url() const { return impl_->url(); }
std::vector<std::string> Server::addresses() const { return impl_->addresses(); }
Status Server::reload_tls() { return impl_->reload_tls(); }
void Server::run() { impl_->run(); }
void Server::stop(milliseconds grace) { impl_->stop(grace); }

uint64_t raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace safelight::http
