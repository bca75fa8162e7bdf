#include "http/routes/native.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <set>

#include "api/native/openapi.h"
#include "http/routes/health.h"
#include "http/routes/openai.h"
#include "unit/http/route_world.h"

namespace safelight::http {
namespace {

namespace json = boost::json;

struct NativeRoutes : ::testing::Test {
  RouteWorld world;
  NativeRoutes() { add_native_routes(world.router, world.backend); }

  std::string job_path(const std::string& id, std::string_view rest = "") {
    return fmt::format("/api/v1/jobs/{}{}", id, rest);
  }
};

const api::Principal kAnn{.name = "ann", .role = api::Role::kUser};

TEST_F(NativeRoutes, AJobIsAcceptedFollowedAndFetched) {
  const Reply accepted = world.post("/api/v1/jobs", R"({"prompt": "an apple", "stpes": 3})");
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const json::object job = body_of(accepted);
  const std::string id(job.at("id").as_string());
  EXPECT_EQ(job.at("state"), "queued");
  EXPECT_EQ(job.at("repeated"), false);
  EXPECT_EQ(job.at("warnings").as_array().size(), 1U);
  EXPECT_EQ(header_of(accepted, "Location"), "http://127.0.0.1:7860/api/v1/jobs/" + id);

  const jobs::Lease lease = world.start();
  world.progress(id, 5, 20);
  FakeExchange asking("GET", job_path(id));
  const json::object running = body_of(world.call(asking));
  EXPECT_EQ(asking.blocking_calls, 0) << "status of unfinished jobs comes from memory";
  EXPECT_EQ(running.at("state"), "running");
  EXPECT_EQ(running.at("progress").at("fraction"), 0.25);
  EXPECT_EQ(running.at("eta_seconds"), 1.5);

  world.finish(lease, {"picture"});
  const json::object ended = body_of(world.get(job_path(id)));
  EXPECT_EQ(ended.at("state"), "succeeded");
  EXPECT_EQ(ended.at("request").at("prompt"), "an apple");
  EXPECT_EQ(ended.at("results").at(0).at("width"), 64);
}

TEST_F(NativeRoutes, DetailAsksTheStoreForTheRequestOfAnUnfinishedJob) {
  const std::string id = world.submit();
  EXPECT_FALSE(body_of(world.get(job_path(id))).contains("request"));
  FakeExchange asking("GET", job_path(id));
  const json::object job = body_of(world.call(asking.with_query("detail", "1")));
  EXPECT_EQ(job.at("request").at("prompt"), "an apple");
}

TEST_F(NativeRoutes, AWrongFieldIsRefusedByItsPathWithItsLimits) {
  const Reply reply = world.post("/api/v1/jobs", R"({"jobs": [{"steps": 5}, {"steps": 0}]})");
  EXPECT_EQ(reply.status, 400);
  const json::object error = body_of(reply).at("error").as_object();
  EXPECT_EQ(error.at("code"), "invalid_argument");
  EXPECT_EQ(error.at("field"), "jobs[1].steps");
  EXPECT_EQ(error.at("limits").at("maximum"), 1000);
  EXPECT_EQ(error.at("limits").at("default"), 20);
  EXPECT_EQ(error.at("request_id"), "test-request");
  EXPECT_EQ(body_of(world.get("/api/v1/jobs")).at("jobs").as_array().size(), 0U) << "all or none";
}

TEST_F(NativeRoutes, AModelThatThereIsNotIsToldByItsJob) {
  const Reply reply =
      world.post("/api/v1/jobs", R"({"jobs": [{"prompt": "a"}, {"model": "nobody"}]})");
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(body_of(reply).at("error").at("field"), "jobs[1]");
}

TEST_F(NativeRoutes, BadJsonIsA400) {
  EXPECT_EQ(world.post("/api/v1/jobs", "{").status, 400);
  EXPECT_EQ(world.post("/api/v1/jobs", "").status, 400);
}

TEST_F(NativeRoutes, TheSameIdempotencyKeyIsTheSameJob) {
  const auto submit = [&](std::string body) {
    FakeExchange exchange("POST", "/api/v1/jobs");
    exchange.with_header("Idempotency-Key", "k").with_body(std::move(body));
    return world.call(exchange);
  };
  const json::object first = body_of(submit(R"({"prompt": "a"})"));
  const json::object again = body_of(submit(R"({"prompt": "a"})"));
  EXPECT_EQ(first.at("id"), again.at("id"));
  EXPECT_EQ(again.at("repeated"), true);
  EXPECT_GE(submit(R"({"prompt": "b"})").status, 400);
  const json::object batch = body_of(submit(R"({"jobs": [{"prompt": "a"}, {"prompt": "b"}]})"));
  EXPECT_NE(batch.at("jobs").at(0).at("id"), batch.at("jobs").at(1).at("id"));
}

TEST_F(NativeRoutes, OwnersSeeTheirOwnJobs) {
  const std::string theirs = world.submit("bob");
  const std::string own = world.submit("ann");
  const std::string done = world.submit("bob");
  for (const char* rest : {"", "/events", "/results/0", "/preview"}) {
    FakeExchange exchange("GET", job_path(theirs, rest));
    EXPECT_EQ(world.call(exchange.as(kAnn)).status, 404) << rest;
  }
  FakeExchange cancel("DELETE", job_path(theirs));
  EXPECT_EQ(world.call(cancel.as(kAnn)).status, 404);
  EXPECT_EQ(world.store->find(theirs)->state, jobs::State::kQueued);
  FakeExchange list("GET", "/api/v1/jobs");
  const json::array jobs =
      body_of(world.call(list.as(kAnn).with_query("owner", "bob"))).at("jobs").as_array();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].at("id"), json::value(own));
  EXPECT_EQ(body_of(world.get("/api/v1/jobs")).at("jobs").as_array().size(), 3U);
}

TEST_F(NativeRoutes, ListsByStateAndPage) {
  world.finished();
  for (int i = 0; i < 4; ++i) world.submit();
  const auto list = [&](std::string state, std::string limit, std::string before = "") {
    FakeExchange exchange("GET", "/api/v1/jobs");
    exchange.with_query("state", std::move(state)).with_query("limit", std::move(limit));
    if (!before.empty()) exchange.with_query("before", std::move(before));
    return world.call(exchange);
  };
  const json::object first = body_of(list("queued", "3"));
  EXPECT_EQ(first.at("jobs").as_array().size(), 3U);
  const json::object second =
      body_of(list("queued", "3", std::string(first.at("next_before").as_string())));
  EXPECT_EQ(second.at("jobs").as_array().size(), 1U);
  EXPECT_TRUE(second.at("next_before").is_null());
  EXPECT_EQ(body_of(list("queued,succeeded", "50")).at("jobs").as_array().size(), 5U);
  EXPECT_EQ(list("sleeping", "3").status, 400);
  EXPECT_EQ(list("", "0").status, 400);
  EXPECT_EQ(list("", "501").status, 400);
  EXPECT_EQ(list("", "x").status, 400);
}

TEST_F(NativeRoutes, CancelsAJob) {
  const std::string id = world.submit();
  FakeExchange wrong("DELETE", job_path(id));
  EXPECT_EQ(world.call(wrong.with_query("mode", "softly")).status, 400);
  FakeExchange cancel("DELETE", job_path(id));
  EXPECT_EQ(body_of(world.call(cancel)).at("state"), "cancelled");
  const std::string running = world.submit();
  world.start();
  FakeExchange interrupt("DELETE", job_path(running));
  const json::object answer = body_of(world.call(interrupt.with_query("mode", "interrupt")));
  EXPECT_EQ(answer.at("cancel_requested"), true);
  EXPECT_EQ(world.store->find(running)->cancel, jobs::CancelMode::kInterrupt);
  FakeExchange none("DELETE", job_path("nobody"));
  EXPECT_EQ(world.call(none).status, 404);
}

TEST_F(NativeRoutes, AResultIsAFileThatCanBeKept) {
  const std::string id = world.finished({"0123456789"});
  const Reply reply = world.get(job_path(id, "/results/0"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "0123456789");
  EXPECT_EQ(reply.content_type, "image/png");
  const std::string etag = header_of(reply, "ETag");
  EXPECT_EQ(etag, '"' + sha256(std::as_bytes(std::span("0123456789", 10))) + '"');
  EXPECT_NE(header_of(reply, "Cache-Control").find("private"), std::string::npos);
  EXPECT_NE(header_of(reply, "Cache-Control").find("immutable"), std::string::npos);
  EXPECT_EQ(header_of(reply, "Content-Disposition"),
            fmt::format("inline; filename=\"safelight-{}-0.png\"", id));
  FakeExchange again("GET", job_path(id, "/results/0"));
  const Reply same = world.call(again.with_header("If-None-Match", etag));
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  FakeExchange saving("GET", job_path(id, "/results/0"));
  EXPECT_TRUE(header_of(world.call(saving.with_query("download", "1")), "Content-Disposition")
                  .starts_with("attachment"));
}

TEST_F(NativeRoutes, AResultIsSentInRanges) {
  const std::string id = world.finished({"0123456789"});
  const auto range = [&](std::string value, std::string condition = "") {
    FakeExchange exchange("GET", job_path(id, "/results/0"));
    exchange.with_header("Range", std::move(value));
    if (!condition.empty()) exchange.with_header("If-Range", std::move(condition));
    return world.call(exchange);
  };
  const Reply part = range("bytes=2-4");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(header_of(part, "Content-Range"), "bytes 2-4/10");
  const Reply none = range("bytes=10-");
  EXPECT_EQ(none.status, 416);
  EXPECT_EQ(header_of(none, "Content-Range"), "bytes */10");
  EXPECT_EQ(range("bytes=2-4", "\"another\"").status, 200);
  EXPECT_EQ(range("bytes=2-4", header_of(part, "ETag")).status, 206);
}

TEST_F(NativeRoutes, ResultsThatThereAreNotAre404) {
  const std::string id = world.finished();
  for (const char* index :
       {"/results/1", "/results/-1", "/results/x", "/results/99999999999999999999"}) {
    EXPECT_EQ(world.get(job_path(id, index)).status, 404) << index;
  }
  EXPECT_EQ(world.get(job_path("nobody", "/results/0")).status, 404);
}

TEST_F(NativeRoutes, EventsThatWereAreReplayedAndTheStreamEndsWithTheJob) {
  const std::string id = world.finished();
  FakeExchange exchange("GET", job_path(id, "/events"));
  world.call(exchange);
  ASSERT_TRUE(exchange.streamed);
  EXPECT_EQ(exchange.streamed->content_type, "text/event-stream");
  std::string text;
  for (const std::string& part : exchange.parts) text += part;
  for (const char* state : {"queued", "running", "succeeded"}) {
    EXPECT_NE(text.find(fmt::format("\"event\":\"{}\"", state)), std::string::npos) << text;
  }
  FakeExchange later("GET", job_path(id, "/events"));
  world.call(later.with_header("Last-Event-ID", "2"));
  std::string rest;
  for (const std::string& part : later.parts) rest += part;
  EXPECT_EQ(rest.find("\"event\":\"running\""), std::string::npos) << rest;
  EXPECT_NE(rest.find("\"event\":\"succeeded\""), std::string::npos) << rest;
}

TEST_F(NativeRoutes, LiveEventsFollow) {
  const std::string id = world.submit();
  FakeExchange exchange("GET", job_path(id, "/events"));
  exchange.with_query("previews", "1");
  const auto meanwhile = [&]() -> Awaitable<void> {
    co_await pause(std::chrono::milliseconds(20));
    const jobs::Lease lease = world.start();
    co_await pause(std::chrono::milliseconds(20));
    world.progress(id, 1, 4);
    world.preview(id);
    world.preview(id);  // too soon after the first
    co_await pause(std::chrono::milliseconds(20));
    world.finish(lease, {"x"});
  };
  world.call_while(exchange, meanwhile());
  std::string text;
  for (const std::string& part : exchange.parts) text += part;
  const auto count = [&](std::string_view word) {
    size_t found = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("event: progress\n"), 1U) << text;
  EXPECT_EQ(count("event: preview\n"), 1U) << text;
  EXPECT_EQ(count("\"event\":\"running\""), 1U) << text;
  EXPECT_EQ(count("\"event\":\"succeeded\""), 1U) << text;
  EXPECT_LT(text.find("\"event\":\"running\""), text.find("event: progress"));
  EXPECT_EQ(world.workers.calls, (std::vector<std::string>{"watch " + id, "leave " + id}));
}

TEST_F(NativeRoutes, AClientThatGoesEndsItsStreamAndNotTheJob) {
  const std::string id = world.submit();
  FakeExchange exchange("GET", job_path(id, "/events"));
  exchange.goes_away_after(1);
  const auto meanwhile = [&]() -> Awaitable<void> {
    co_await pause(std::chrono::milliseconds(10));
    world.start();
  };
  world.call_while(exchange, meanwhile());
  EXPECT_EQ(world.store->find(id)->state, jobs::State::kRunning);
}

TEST_F(NativeRoutes, ThePreviewIsTheLatestAndIsAskedFor) {
  const std::string id = world.submit();
  world.start();
  EXPECT_EQ(world.get(job_path(id, "/preview")).status, 404);
  EXPECT_EQ(world.workers.calls, std::vector<std::string>{"watch " + id});
  world.preview(id);
  const Reply reply = world.get(job_path(id, "/preview"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "jpeg");
  EXPECT_EQ(reply.content_type, "image/jpeg");
  EXPECT_EQ(header_of(reply, "Cache-Control"), "no-store");
}

TEST_F(NativeRoutes, TellsQueueModelsSamplersAndStatus) {
  world.submit();
  EXPECT_EQ(body_of(world.get("/api/v1/queue")).at("queued"), 1);
  EXPECT_EQ(body_of(world.get("/api/v1/models")).at("models").at(0).at("name"), "emoji-128");
  EXPECT_GE(body_of(world.get("/api/v1/samplers")).at("samplers").as_array().size(), 3U);
  EXPECT_EQ(body_of(world.get("/api/v1/status")).at("version"), "Safelight test");
}

TEST_F(NativeRoutes, CountsTokens) {
  const Reply reply =
      world.post("/api/v1/tokens", R"({"prompt": "a cat", "steps": 30, "prompt_syntax": "fixed"})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(body_of(reply).at("tokens"), 5);
  EXPECT_EQ(body_of(reply).at("steps"), 30);
  EXPECT_EQ(body_of(reply).at("syntax"), "fixed");
  EXPECT_EQ(world.post("/api/v1/tokens", R"({"promt": "a"})").status, 400);
  EXPECT_EQ(world.post("/api/v1/tokens", "[]").status, 400);
}

TEST_F(NativeRoutes, LoadsAndUnloadsModels) {
  EXPECT_EQ(world.post("/api/v1/models/load", R"({"model": "dream"})").status, 200);
  EXPECT_EQ(world.post("/api/v1/models/unload", R"({"model": "dream"})").status, 200);
  EXPECT_EQ(world.post("/api/v1/models/unload", "").status, 200);
  EXPECT_EQ(world.workers.calls,
            (std::vector<std::string>{"load dream", "unload dream", "unload "}));
  EXPECT_EQ(world.post("/api/v1/models/load", R"({"model": "nobody"})").status, 404);
  EXPECT_EQ(world.post("/api/v1/models/load", R"({"model": 3})").status, 400);
  EXPECT_EQ(world.post("/api/v1/models/load", "[]").status, 400);
  world.workers.loading = Error{ErrorCode::kOutOfMemory, "9 GB"};
  EXPECT_EQ(world.post("/api/v1/models/load", "{}").status, 507);
  EXPECT_EQ(world.post("/api/v1/models/refresh", "{}").status, 200);
  EXPECT_EQ(world.catalog.refreshed, 1);
}

TEST_F(NativeRoutes, WhatChangesTheServerIsForAdmins) {
  for (const Route& route : world.router.routes()) {
    if (route.pattern.starts_with("/api/v1/models/")) {
      EXPECT_EQ(route.options.access, Access::kAdmin) << route.pattern;
    }
    EXPECT_NE(route.options.access, Access::kOpen) << route.pattern;
  }
}

TEST_F(NativeRoutes, TheOpenApiDocumentHasEveryRoute) {
  Metrics metrics;
  add_health_routes(world.router, world.backend, metrics, {});
  add_openai_routes(world.router, world.backend);
  const json::object document = body_of(world.get("/api/v1/openapi.json"));
  EXPECT_EQ(document.at("openapi"), "3.1.0");
  const json::object& paths = document.at("paths").as_object();
  std::set<std::string> names;
  for (const Route& route : world.router.routes()) {
    std::string pattern = route.pattern;
    if (const size_t star = pattern.find('*'); star != std::string::npos) pattern.erase(star, 1);
    ASSERT_TRUE(paths.contains(pattern)) << pattern;
    const json::object& methods = paths.at(pattern).as_object();
    const std::string method = ascii_lower(route.method);
    ASSERT_TRUE(methods.contains(method)) << route.method << " " << pattern;
    const std::string name(methods.at(method).at("operationId").as_string());
    EXPECT_TRUE(names.insert(name).second) << name << " names two operations";
    EXPECT_TRUE(api::native::is_documented(name)) << name;
    EXPECT_TRUE(methods.at(method).as_object().contains("summary")) << name;
  }
  const json::object& job =
      document.at("components").at("schemas").at("SingleJob").at("properties").as_object();
  for (const request::Field& field : request::fields())
    EXPECT_TRUE(job.contains(field.key)) << field.key;
  EXPECT_EQ(job.at("steps").at("maximum"), 1000);
  EXPECT_EQ(job.at("steps").at("default"), 20);
}

/// All "$ref"s of a document.
void collect_references(const json::value& value, std::set<std::string>& found) {
  if (value.is_array()) {
    for (const json::value& each : value.get_array()) collect_references(each, found);
  } else if (value.is_object()) {
    for (const auto& [key, each] : value.get_object()) {
      if (key == "$ref") {
        found.insert(std::string(each.as_string()));
      } else {
        collect_references(each, found);
      }
    }
  }
}

TEST_F(NativeRoutes, TheOpenApiDocumentIsWhole) {
  add_openai_routes(world.router, world.backend);
  const json::object document = body_of(world.get("/api/v1/openapi.json"));
  const json::object& schemas = document.at("components").at("schemas").as_object();
  std::set<std::string> references;
  collect_references(document, references);
  const std::string prefix = "#/components/schemas/";
  for (const std::string& reference : references) {
    ASSERT_TRUE(reference.starts_with(prefix)) << reference;
    EXPECT_TRUE(schemas.contains(reference.substr(prefix.size()))) << reference;
  }
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      ASSERT_TRUE(operation.as_object().contains("responses")) << path;
      // Each {name} of the path is a parameter, and none is missing.
      size_t in_path = 0;
      if (const json::value* parameters = operation.as_object().if_contains("parameters")) {
        for (const json::value& parameter : parameters->as_array()) {
          if (parameter.at("in") != "path") continue;
          ++in_path;
          const std::string name(parameter.at("name").as_string());
          EXPECT_NE(std::string(path).find("{" + name + "}"), std::string::npos) << path;
        }
      }
      const std::string text(path);
      EXPECT_EQ(in_path, static_cast<size_t>(std::count(text.begin(), text.end(), '{'))) << path;
    }
  }
}

}  // namespace
}  // namespace safelight::http
