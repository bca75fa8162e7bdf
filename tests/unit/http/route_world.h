#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/json.h"
#include "jobs/sqlite_store.h"
#include "support/fake_backend.h"
#include "unit/http/fake_exchange.h"

namespace safelight::http {

/// Pauses a coroutine.
inline Awaitable<void> pause(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

/// A server's routes over a real store, whose jobs the test draws.
struct RouteWorld {
  test::TemporaryFolder folder;
  std::shared_ptr<jobs::Store> store =
      std::move(*jobs::open_sqlite_store({.folder = folder.path() / "jobs"}));
  jobs::Service service{store};
  test::FakeCatalog catalog;
  test::FakeWorkers workers;
  std::unique_ptr<api::Options> options = std::move(*api::Options::open(folder.path(), "/out"));
  api::Backend backend{
      .jobs = service,
      .catalog = catalog,
      .workers = workers,
      .options = *options,
      .facts = {.version = "Safelight test", .started = jobs::now(), .data_dir = folder.path()},
      .limits = {},
      .shut_down = {},
      .signing_key = "key"};
  Router router;

  /// The handler's coroutine for the exchange, which gets the parameters of its path.
  Awaitable<Reply> handle(FakeExchange& exchange) {
    const Router::Match match = router.find(exchange.method(), exchange.path());
    for (const auto& [name, value] : match.params) exchange.with_param(name, value);
    if (match.route == nullptr) co_return Reply{.status = match.path_known ? 405 : 404};
    co_return co_await match.route->handler(exchange);
  }
  Reply call(FakeExchange& exchange) { return run(handle(exchange)); }
  Reply get(std::string path) {
    FakeExchange exchange("GET", std::move(path));
    return call(exchange);
  }
  Reply post(std::string path, std::string body) {
    FakeExchange exchange("POST", std::move(path));
    return call(exchange.with_body(std::move(body)));
  }

  /// Runs the handler, and beside it what the world does meanwhile.
  Reply call_while(FakeExchange& exchange, Awaitable<void> meanwhile) {
    boost::asio::io_context context;
    Reply reply;
    const auto rethrow = [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    };
    boost::asio::co_spawn(context, handle(exchange), [&](std::exception_ptr thrown, Reply value) {
      rethrow(thrown);
      reply = std::move(value);
    });
    boost::asio::co_spawn(context, std::move(meanwhile), rethrow);
    context.run();
    return reply;
  }

  /// A job's id, submitted by `owner`.
  std::string submit(std::string owner = "local", std::string prompt = "an apple") {
    jobs::NewJob job;
    job.request.prompt = std::move(prompt);
    job.request.seed = 7;
    job.owner = std::move(owner);
    return service.submit({job}).value().at(0).id;
  }

  void publish(const std::string& id, jobs::State state) {
    service.hub().publish({.kind = jobs::Event::Kind::kState,
                           .job = id,
                           .owner = store->find(id)->asked.owner,
                           .state = state});
  }
  void progress(const std::string& id, int64_t step, int64_t steps) {
    service.hub().publish({.kind = jobs::Event::Kind::kProgress,
                           .job = id,
                           .owner = store->find(id)->asked.owner,
                           .state = jobs::State::kRunning,
                           .progress = {.step = step, .steps = steps},
                           .eta_seconds = 1.5});
  }
  void preview(const std::string& id) {
    service.hub().publish({.kind = jobs::Event::Kind::kPreview,
                           .job = id,
                           .owner = store->find(id)->asked.owner,
                           .state = jobs::State::kRunning,
                           .jpeg = "jpeg"});
  }

  /// The next job begins to run.
  jobs::Lease start() {
    const auto claim = store->claim({.worker = "w"}).value();
    publish(claim->lease.job, jobs::State::kRunning);
    return claim->lease;
  }
  void finish(const jobs::Lease& lease, const std::vector<std::string>& pictures) {
    jobs::Outcome outcome;
    for (const std::string& data : pictures) {
      const auto index = static_cast<int64_t>(outcome.pictures.size());
      outcome.pictures.push_back({.file = {.index = index,
                                           .sha256 = sha256(std::as_bytes(std::span(data))),
                                           .media_type = "image/png",
                                           .bytes = data.size(),
                                           .width = 64,
                                           .height = 32,
                                           .seed = 7 + index,
                                           .infotext = "an apple\nSteps: 20"},
                                  .data = data});
    }
    end(lease, std::move(outcome));
  }
  void end(const jobs::Lease& lease, jobs::Outcome outcome) {
    const jobs::State state = outcome.state;
    store->finish(lease, outcome).value();
    publish(lease.job, state);
  }
  /// Submits a job and draws it.
  std::string finished(const std::vector<std::string>& pictures = {"0123456789"},
                       std::string owner = "local") {
    const std::string id = submit(std::move(owner));
    finish(start(), pictures);
    return id;
  }
};

inline boost::json::object body_of(const Reply& reply) {
  return parse_json(reply.body).value().as_object();
}

inline std::string header_of(const Reply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace safelight::http
