#include "http/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace safelight::http {
namespace {

TEST(Metrics, RendersCountersAndGauges) {
  Metrics metrics;
  metrics.describe("jobs_total", "Jobs that ended.");
  metrics.count("jobs_total", {{"state", "failed"}});
  metrics.count("jobs_total", {{"state", "failed"}}, 2);
  metrics.set("queue", {}, 1.5);
  EXPECT_EQ(metrics.render(),
            "# HELP jobs_total Jobs that ended.\n"
            "# TYPE jobs_total counter\n"
            "jobs_total{state=\"failed\"} 3\n"
            "# TYPE queue gauge\n"
            "queue 1.5\n");
}

TEST(Metrics, EscapesLabels) {
  Metrics metrics;
  metrics.set("g", {{"a", "x\"y\\z\n"}, {"b", ""}}, 1);
  EXPECT_EQ(metrics.render(), "# TYPE g gauge\ng{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1\n");
}

TEST(Metrics, HistogramsAreCumulative) {
  Metrics metrics;
  metrics.observe("t", {{"r", "a"}}, 0.001);
  metrics.observe("t", {{"r", "a"}}, 0.2);
  metrics.observe("t", {{"r", "a"}}, 10'000);
  const std::string text = metrics.render();
  EXPECT_NE(text.find("t_bucket{r=\"a\",le=\"0.001\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_bucket{r=\"a\",le=\"0.1\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("t_bucket{r=\"a\",le=\"0.25\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("t_bucket{r=\"a\",le=\"600\"} 2\n"), std::string::npos);
  EXPECT_NE(text.find("t_bucket{r=\"a\",le=\"+Inf\"} 3\n"), std::string::npos);
  EXPECT_NE(text.find("t_sum{r=\"a\"} 10000.201"), std::string::npos);
  EXPECT_NE(text.find("t_count{r=\"a\"} 3\n"), std::string::npos);
}

TEST(Metrics, CollectorsRunBeforeEachRendering) {
  Metrics metrics;
  int calls = 0;
  metrics.on_collect([&](Metrics& m) { m.set("calls", {}, ++calls); });
  metrics.render();
  EXPECT_EQ(metrics.render(), "# TYPE calls gauge\ncalls 2\n");
}

TEST(Metrics, ManyThreadsCount) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 500; ++n) {
        metrics.count("n", {});
        metrics.observe("t", {}, 0.1);
      }
      metrics.render();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_NE(metrics.render().find("n 2000\n"), std::string::npos);
}

}  // namespace
}  // namespace safelight::http
