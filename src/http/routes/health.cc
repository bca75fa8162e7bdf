#include "http/routes/health.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "api/native/server_json.h"
#include "base/file.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

/// Whether the server takes jobs and can run them; asked about often, looked at rarely.
class Readiness {
 public:
  Readiness(api::Backend& backend, std::function<bool()> draining)
      : backend_(backend), draining_(std::move(draining)) {}

  /// What is in the way; nothing when the server is ready. Blocks.
  std::vector<std::string> problems() {
    std::vector<std::string> found;
    if (draining_ && draining_()) found.emplace_back("the server is about to end");
    const auto workers = backend_.workers.status();
    // A worker that does not run is started when there is work; one that starts is not ready yet.
    const auto able = [](const jobs::WorkerStatus& worker) {
      return worker.ready || worker.process == 0;
    };
    if (!workers.empty() && std::none_of(workers.begin(), workers.end(), able)) {
      found.emplace_back("no worker is ready");
    }
    const std::string store = store_problem();
    if (!store.empty()) found.push_back(store);
    return found;
  }

 private:
  std::string store_problem() {
    constexpr std::chrono::seconds kFor{1};
    const std::lock_guard lock(mutex_);
    if (looked_ && Clock::now() - *looked_ < kFor) return store_problem_;
    looked_ = Clock::now();
    store_problem_.clear();
    const auto counts = backend_.jobs.store().counts();
    Status good = counts ? Status() : Status(counts.error());
    if (good) good = write_probe();
    if (!good) {
      // Anybody may ask; paths are for the log.
      spdlog::warn("not ready: {}", good.error().message);
      store_problem_ = "the store cannot be read or written; the server's log says why";
    }
    return store_problem_;
  }

  /// A few kilobytes: a full disk may still have room for an empty file.
  Status write_probe() const {
    constexpr size_t kBytes = 8192;
    const auto probe = backend_.facts.data_dir / "ready-check";
    const Status written = write_file_atomically(probe, std::string(kBytes, '\0'));
    std::error_code ignored;
    std::filesystem::remove(probe, ignored);
    return written;
  }

  api::Backend& backend_;
  std::function<bool()> draining_;
  std::mutex mutex_;
  std::optional<Clock::time_point> looked_;
  std::string store_problem_;
};

Awaitable<Reply> get_health(Exchange&) { co_return json_reply(json::object{{"status", "ok"}}); }

Awaitable<Reply> get_readiness(Exchange& exchange, std::shared_ptr<Readiness> readiness) {
  const auto look = [&] { return readiness->problems(); };
  const std::vector<std::string> problems = co_await exchange.blocking(look);
  if (problems.empty()) co_return json_reply(json::object{{"status", "ready"}});
  constexpr int kUnavailable = 503;
  json::object answer{{"status", "not ready"}};
  answer["problems"] = json::array(problems.begin(), problems.end());
  co_return json_reply(answer, kUnavailable);
}

void collect_workers(Metrics& metrics, const std::vector<jobs::WorkerStatus>& workers) {
  for (const jobs::WorkerStatus& worker : workers) {
    const Metrics::Labels labels{{"worker", worker.name}};
    metrics.set("safelight_worker_ready", labels, worker.ready ? 1 : 0);
    metrics.set("safelight_worker_busy", labels, worker.job.empty() ? 0 : 1);
    metrics.set("safelight_worker_resident_bytes", labels,
                static_cast<double>(worker.resident_bytes));
    metrics.set("safelight_worker_restarts", labels, static_cast<double>(worker.restarts));
    metrics.set("safelight_worker_jobs_done", labels, static_cast<double>(worker.jobs_done));
    uint64_t model_bytes = 0;
    for (const jobs::LoadedModel& model : worker.models) model_bytes += model.bytes;
    metrics.set("safelight_worker_models", labels, static_cast<double>(worker.models.size()));
    metrics.set("safelight_worker_model_bytes", labels, static_cast<double>(model_bytes));
  }
}

void collect(Metrics& metrics, api::Backend& backend) {
  if (const auto counts = backend.jobs.store().counts()) {
    for (const jobs::State state :
         {jobs::State::kQueued, jobs::State::kRunning, jobs::State::kSucceeded,
          jobs::State::kFailed, jobs::State::kCancelled, jobs::State::kRefused,
          jobs::State::kExpired}) {
      const auto found = counts->jobs.find(state);
      metrics.set("safelight_jobs", {{"state", std::string(jobs::state_name(state))}},
                  found == counts->jobs.end() ? 0 : static_cast<double>(found->second));
    }
    metrics.set("safelight_queued_megapixel_steps", {}, counts->queued_cost);
  }
  collect_workers(metrics, backend.workers.status());
  metrics.set("safelight_server_resident_bytes", {},
              static_cast<double>(api::native::resident_bytes()));
  metrics.set("safelight_server_uptime_seconds", {},
              static_cast<double>(jobs::now() - backend.facts.started) / 1000);
}

void describe(Metrics& metrics) {
  metrics.describe("safelight_jobs", "Jobs in the store, by state");
  metrics.describe("safelight_queued_megapixel_steps", "Work that waits");
  metrics.describe("safelight_worker_ready", "Whether the worker process can take a job");
  metrics.describe("safelight_worker_busy", "Whether the worker runs a job");
  metrics.describe("safelight_worker_resident_bytes", "Memory of the worker process");
  metrics.describe("safelight_worker_restarts", "How often the worker process was started again");
  metrics.describe("safelight_worker_jobs_done", "Jobs that the worker has ended");
  metrics.describe("safelight_worker_models", "Models in the worker's memory");
  metrics.describe("safelight_worker_model_bytes", "Memory of those models");
  metrics.describe("safelight_server_resident_bytes", "Memory of the server process");
  metrics.describe("safelight_server_uptime_seconds", "Time since the server started");
}

Awaitable<Reply> get_metrics(Exchange& exchange, Metrics& metrics) {
  const auto render = [&] { return metrics.render(); };
  Reply reply{.content_type = "text/plain; version=0.0.4; charset=utf-8"};
  reply.body = co_await exchange.blocking(render);
  co_return reply;
}

}  // namespace

void add_health_routes(Router& router, api::Backend& backend, Metrics& metrics,
                       HealthOptions options) {
  describe(metrics);
  metrics.on_collect([&](Metrics& each) { collect(each, backend); });
  const auto readiness = std::make_shared<Readiness>(backend, std::move(options.draining));
  router.get("/healthz", {.access = Access::kOpen, .rate_cost = 0, .operation = "getHealth"},
             get_health);
  router.get("/readyz", {.access = Access::kOpen, .rate_cost = 0, .operation = "getReadiness"},
             [readiness](Exchange& exchange) { return get_readiness(exchange, readiness); });
  router.get("/metrics",
             {.access = options.open_metrics ? Access::kOpen : Access::kAdmin,
              .rate_cost = 0,
              .operation = "getMetrics"},
             [&](Exchange& exchange) { return get_metrics(exchange, metrics); });
}

}  // namespace safelight::http
