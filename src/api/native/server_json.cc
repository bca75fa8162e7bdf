#include "api/native/server_json.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "api/native/job_json.h"

namespace safelight::api::native {
namespace {

namespace json = boost::json;

json::object worker_json(const jobs::WorkerStatus& worker, bool admin) {
  json::array models;
  for (const jobs::LoadedModel& model : worker.models) {
    models.push_back(json::object{{"name", model.name},
                                  {"sha256", model.sha256},
                                  {"bytes", model.bytes},
                                  {"pinned", model.pinned}});
  }
  json::object object{{"name", worker.name},
                      {"ready", worker.ready},
                      {"running", worker.process != 0},
                      {"busy", !worker.job.empty()},
                      {"device", worker.device},
                      {"policy", worker.policy},
                      {"models", std::move(models)},
                      {"current_model", worker.current_model},
                      {"resident_bytes", worker.resident_bytes},
                      {"restarts", worker.restarts},
                      {"jobs_done", worker.jobs_done}};
  if (admin) {
    object["job"] = worker.job;
    object["process"] = worker.process;
  }
  return object;
}

bool is_loaded(const ModelInfo& model, const std::vector<jobs::WorkerStatus>& workers) {
  return std::any_of(workers.begin(), workers.end(), [&](const jobs::WorkerStatus& worker) {
    return std::any_of(
        worker.models.begin(), worker.models.end(), [&](const jobs::LoadedModel& loaded) {
          return loaded.sha256.empty() ? loaded.name == model.name : loaded.sha256 == model.sha256;
        });
  });
}

}  // namespace

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

json::object status_json(const ServerFacts& facts, const std::vector<jobs::WorkerStatus>& workers,
                         bool admin) {
  json::array list;
  uint64_t worker_bytes = 0;
  for (const jobs::WorkerStatus& worker : workers) {
    list.push_back(worker_json(worker, admin));
    worker_bytes += worker.resident_bytes;
  }
  return {
      {"version", facts.version},
      {"started", iso_time(facts.started)},
      {"uptime_seconds", static_cast<double>(jobs::now() - facts.started) / 1000},
      {"workers", std::move(list)},
      {"memory",
       {{"server_resident_bytes", resident_bytes()}, {"workers_resident_bytes", worker_bytes}}}};
}

json::object queue_json(const std::vector<std::pair<std::string, jobs::LiveJob>>& unfinished,
                        const Principal& principal, size_t limit, std::string_view base) {
  int64_t running = 0, queued = 0;
  json::array list;
  for (const auto& [id, live] : unfinished) {
    if (jobs::is_final(live.state)) continue;
    ++(live.state == jobs::State::kRunning ? running : queued);
    if (list.size() < limit && principal.may_see(live.owner)) {
      list.push_back(live_json(id, live, base));
    }
  }
  return {{"running", running}, {"queued", queued}, {"jobs", std::move(list)}};
}

json::array models_json(const std::vector<ModelInfo>& models,
                        const std::vector<jobs::WorkerStatus>& workers, bool admin) {
  json::array list;
  for (const ModelInfo& model : models) {
    json::object object{{"name", model.name},
                        {"title", model.title()},
                        {"kind", model.kind},
                        {"sha256", model.sha256},
                        {"bytes", model.size},
                        {"changed", iso_time(model.changed * 1000)},
                        {"loaded", is_loaded(model, workers)}};
    if (admin) object["path"] = model.path.string();
    list.push_back(std::move(object));
  }
  return list;
}

json::object samplers_json(const std::vector<SamplerInfo>& samplers,
                           const std::vector<ScheduleInfo>& schedules) {
  json::array sampler_list, schedule_list;
  for (const SamplerInfo& sampler : samplers) {
    sampler_list.push_back(json::object{{"name", sampler.name},
                                        {"aliases", sampler.aliases},
                                        {"uses_schedule", sampler.uses_spacing}});
  }
  for (const ScheduleInfo& schedule : schedules) {
    schedule_list.push_back(json::object{{"name", schedule.name}, {"label", schedule.label}});
  }
  return {{"samplers", std::move(sampler_list)}, {"schedules", std::move(schedule_list)}};
}

}  // namespace safelight::api::native
