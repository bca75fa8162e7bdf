#pragma once

#include <gtest/gtest.h>

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "fake_exchange.h"
#include "http/routes/sdapi.h"
#include "support/fake_backend.h"

namespace safelight::http {

constexpr std::string_view kTxt2Img = "/sdapi/v1/txt2img";
inline const api::Principal kAnn = {.name = "ann", .role = api::Role::kUser};
inline const api::Principal kBen = {.name = "ben", .role = api::Role::kUser};
inline const api::Principal kRoot = {.name = "root", .role = api::Role::kAdmin};

/// The routes of SD WebUI's API over a backend in memory.
class SdapiRoutes : public testing::Test {
 protected:
  SdapiRoutes() { add_sdapi_routes(router_, fake_.backend); }

  Reply call(FakeExchange& exchange) {
    const Router::Match match = router_.find(exchange.method(), exchange.path());
    EXPECT_NE(match.route, nullptr) << exchange.path();
    if (match.route == nullptr) return {.status = 0};
    return run(match.route->handler(exchange));
  }
  Reply get(const std::string& path, const api::Principal& principal = kRoot) {
    FakeExchange exchange("GET", path);
    return call(exchange.as(principal));
  }
  Reply post(std::string_view path, std::string body = "", const api::Principal& by = kRoot) {
    FakeExchange exchange("POST", std::string(path));
    return call(exchange.with_body(std::move(body)).as(by));
  }
  static boost::json::value parsed(const Reply& reply) {
    const Result<boost::json::value> value = parse_json(reply.body);
    EXPECT_TRUE(value.ok()) << reply.body;
    return value ? *value : boost::json::value();
  }
  boost::json::object got(const std::string& path, const api::Principal& principal = kRoot) {
    const Reply reply = get(path, principal);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return parsed(reply).as_object();
  }

  /// A job in the queue, as if `principal` had submitted it; its id.
  std::string queue(const api::Principal& principal, std::string_view body = "{}") {
    std::string id;
    {
      FakeExchange exchange("POST", std::string(kTxt2Img));
      exchange.with_body(std::string(body)).as(principal).goes_away_after(0);
      const Reply reply = call(exchange);
      for (const auto& [name, value] : reply.headers) {
        if (name == "X-Job-Id") id = value;
      }
      EXPECT_NE(id, "") << reply.body;
    }
    return id;
  }
  void start(const std::string& id) {
    fake_.store->set(id, jobs::State::kRunning);
    fake_.publish(id, jobs::State::kRunning);
  }
  std::string running(const api::Principal& principal) {
    const std::string id = queue(principal);
    start(id);
    return id;
  }
  /// From now on every job ends as soon as it is submitted.
  void end_jobs(jobs::State state, const std::vector<std::string>& pictures,
                std::optional<jobs::JobError> error = {},
                jobs::CancelMode cancel = jobs::CancelMode::kNone) {
    fake_.service.on_work([=, this] {
      const auto queued = fake_.store->list({.states = {jobs::State::kQueued}});
      const std::string id = queued->front().id;
      start(id);
      if (cancel != jobs::CancelMode::kNone) (void)fake_.store->cancel(id, cancel);
      fake_.store->set(id, state, pictures, error);
      fake_.publish(id, state);
    });
  }

  test::FakeBackend fake_;
  Router router_;
};

}  // namespace safelight::http
