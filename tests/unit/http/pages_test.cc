#include "http/routes/pages.h"

#include <gtest/gtest.h>

#include <regex>

#include "http/routes/health.h"
#include "http/web_files.h"
#include "unit/http/route_world.h"

namespace safelight::http {
namespace {

struct Pages : ::testing::Test {
  RouteWorld world;
  Pages() { add_page_routes(world.router); }
};

TEST_F(Pages, ThePageAndTheDocumentationHaveAllThatTheyNameAndNothingFromElsewhere) {
  for (const char* path : {"/", "/docs"}) {
    const Reply page = world.get(path);
    ASSERT_EQ(page.status, 200) << path;
    EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
    const std::regex link("(?:src|href)=\"([^\"#]+)\"");
    int files = 0;
    for (std::sregex_iterator at(page.body.begin(), page.body.end(), link), end; at != end; ++at) {
      const std::string target = (*at)[1];
      EXPECT_EQ(target.find(':'), std::string::npos) << target << " is not of this server";
      EXPECT_FALSE(target.starts_with('/')) << target << " does not work below a path";
      if (!target.starts_with("assets/")) continue;
      ++files;
      EXPECT_EQ(world.get("/" + target).status, 200) << target;
    }
    EXPECT_GE(files, 3);
  }
}

TEST_F(Pages, HaveAStrictPolicyAndNoInlineScripts) {
  const Reply page = world.get("/");
  const std::string policy = header_of(page, "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  for (const WebFile& file : web_files()) {
    if (!file.name.ends_with(".html")) continue;
    EXPECT_EQ(file.data.find("<style"), std::string_view::npos) << file.name;
    EXPECT_EQ(file.data.find(" style="), std::string_view::npos) << file.name;
    EXPECT_EQ(file.data.find(" onclick="), std::string_view::npos) << file.name;
    EXPECT_EQ(file.data.find("<script>"), std::string_view::npos) << file.name;
  }
}

TEST_F(Pages, AreNotSentAgainWhileTheyAreTheSame) {
  const Reply page = world.get("/assets/page.js");
  EXPECT_EQ(page.content_type, "text/javascript; charset=utf-8");
  FakeExchange again("GET", "/assets/page.js");
  const Reply same = world.call(again.with_header("If-None-Match", header_of(page, "ETag")));
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(world.get("/assets/nothing.js").status, 404);
}

TEST_F(Pages, StandWithoutASlashAtTheEnd) {
  const Reply reply = world.get("/docs/");
  EXPECT_EQ(reply.status, 308);
  ASSERT_EQ(reply.headers.size(), 1U);
  EXPECT_EQ(reply.headers[0], (std::pair<std::string, std::string>("Location", "../docs")));
}

TEST_F(Pages, AreBehindTheGate) {
  for (const Route& route : world.router.routes()) EXPECT_EQ(route.options.access, Access::kViewer);
}

struct Health : ::testing::Test {
  RouteWorld world;
  Metrics metrics;
  bool draining = false;
  Health() {
    add_health_routes(world.router, world.backend, metrics,
                      {.draining = [this] { return draining; }});
  }
};

TEST_F(Health, AnswersAndIsReady) {
  EXPECT_EQ(world.get("/healthz").status, 200);
  EXPECT_EQ(world.get("/readyz").status, 200) << world.get("/readyz").body;
}

TEST_F(Health, IsNotReadyWhileItDrainsOrItsWorkerCannotRun) {
  draining = true;
  EXPECT_EQ(world.get("/readyz").status, 503);
  draining = false;
  world.workers.workers[0].ready = false;
  world.workers.workers[0].process = 77;
  const Reply reply = world.get("/readyz");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(body_of(reply).at("problems").at(0), "no worker is ready");
  world.workers.workers[0].process = 0;
  EXPECT_EQ(world.get("/readyz").status, 200) << "it is started when there is work";
}

TEST_F(Health, IsNotReadyWithoutAFolderToWriteIn) {
  world.backend.facts.data_dir = "/proc/none";
  const Reply reply = world.get("/readyz");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body.find("/proc"), std::string::npos) << "anybody may ask";
}

TEST_F(Health, MetricsHaveJobsAndWorkers) {
  world.finished();
  world.submit();
  world.workers.workers[0].models = {{.name = "m", .bytes = 1000}};
  const Reply reply = world.get("/metrics");
  for (const char* line :
       {"safelight_jobs{state=\"succeeded\"} 1", "safelight_jobs{state=\"queued\"} 1",
        "safelight_jobs{state=\"failed\"} 0", "safelight_worker_ready{worker=\"one\"} 1",
        "safelight_worker_model_bytes{worker=\"one\"} 1000"}) {
    EXPECT_NE(reply.body.find(line), std::string::npos) << line << "\n" << reply.body;
  }
  EXPECT_EQ(world.router.find("GET", "/metrics").route->options.access, Access::kAdmin);
}

}  // namespace
}  // namespace safelight::http
