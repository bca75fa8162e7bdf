#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/backend.h"
#include "api/options.h"
#include "support/temporary_folder.h"

namespace safelight::test {

/// Two models, and a few samplers and schedules.
class FakeCatalog final : public api::Catalog {
 public:
  std::vector<api::ModelInfo> known = {
      {.name = "emoji-128",
       .kind = "checkpoint",
       .path = "/models/emoji-128.safetensors",
       .sha256 = std::string(64, 'a')},
      {.name = "dream", .kind = "checkpoint", .path = "/models/dream.safetensors"},
  };
  int refreshed = 0;

  std::vector<api::ModelInfo> models(const std::string& kind) override {
    return kind == "checkpoint" ? known : std::vector<api::ModelInfo>();
  }
  std::vector<api::LoraInfo> loras() override {
    return {{.file = {.name = "detail", .kind = "lora", .path = "/models/Lora/detail.safetensors"},
             .alias = "Add Detail",
             .metadata = {{"ss_output_name", "Add Detail"}}}};
  }
  std::vector<api::EmbeddingInfo> embeddings(const std::string&) override {
    return {{.file = {.name = "easynegative", .kind = "embedding"},
             .vectors = 8,
             .width = 768,
             .step = 500,
             .fits = true},
            {.file = {.name = "xl", .kind = "embedding"}, .vectors = 2, .width = 2048}};
  }
  Result<api::ModelInfo> find(const std::string& name) override {
    for (const api::ModelInfo& model : known) {
      if (name.empty() || name == model.name || name == model.title()) return model;
    }
    return Error{ErrorCode::kNotFound, "there is no model '" + name + "'"};
  }
  Result<std::string> sha256(const api::ModelInfo& model) override { return model.sha256; }
  void refresh() override { ++refreshed; }
  std::vector<api::SamplerInfo> samplers() const override {
    return {{"DPM++ 2M", "k_dpmpp_2m,dpmpp_2m"}, {"Euler a", "k_euler_a"}, {"DDIM", "", false}};
  }
  std::vector<api::ScheduleInfo> schedules() const override {
    return {{"Automatic", "the sampler's own", "automatic"},
            {"Karras", "Karras et al. 2022", "karras"},
            {"SGM Uniform", "evenly spaced", "sgm_uniform"}};
  }
  Status check(const request::Request& request) const override {
    return request::validate(request);
  }
  std::vector<api::StyleInfo> styles() override { return {{"Oil", "{prompt}, oil", "photo"}}; }
  std::vector<std::string> wildcards() override { return {"color"}; }
  Result<boost::json::object> count(const std::string& prompt, const std::string& syntax,
                                    int64_t steps) const override {
    return boost::json::object{{"tokens", prompt.size()}, {"syntax", syntax}, {"steps", steps}};
  }
  api::UnknownNames unknown = api::UnknownNames::kRefuse;  ///< what was asked for last
  Result<request::Request> resolve(const request::Request& asked, api::UnknownNames names,
                                   api::ModelInfo& model) override {
    unknown = names;
    auto found = find(asked.model);
    if (!found) return found.error();
    model = *found;
    request::Request request = asked;
    request.model = model.name;
    if (request.seed < 0) request.seed = 1234;
    if (request.subseed < 0) request.subseed = 0;
    if (request.width == 0) request.width = 128;
    if (request.height == 0) request.height = 128;
    if (Status good = check(request); !good) return good.error();
    return request;
  }
};

class FakeWorkers final : public api::Workers {
 public:
  std::vector<jobs::WorkerStatus> workers = {{.name = "one", .ready = true, .device = "cpu"}};
  std::vector<std::string> calls;  ///< "load emoji-128", "skip 1", ...
  Status loading;                  ///< what load() says

  std::vector<jobs::WorkerStatus> status() const override { return workers; }
  Status load(const std::string& model) override {
    calls.push_back("load " + model);
    return loading;
  }
  Status unload(const std::string& model) override {
    calls.push_back("unload " + model);
    return {};
  }
  bool skip(const std::string& job) override {
    calls.push_back("skip " + job);
    return true;
  }
  void watch_previews(const std::string& job, bool wanted) override {
    calls.push_back((wanted ? "watch " : "leave ") + job);
  }
};

/// Jobs in memory; nobody draws them but the test.
class MemoryStore final : public jobs::Store {
 public:
  int reads = 0;  ///< calls of any kind

  Result<std::vector<jobs::Accepted>> submit(const std::vector<jobs::NewJob>& asked) override {
    const std::lock_guard lock(mutex_);
    std::vector<jobs::Accepted> accepted;
    for (const jobs::NewJob& job : asked) {
      const std::string id = "job-" + std::to_string(jobs_.size() + 1);
      jobs_[id] = {.id = id, .asked = job, .created = jobs::now()};
      accepted.push_back({.id = id});
    }
    return accepted;
  }
  Result<jobs::Job> find(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    ++reads;
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return Error{ErrorCode::kNotFound, "there is no job " + id};
    return found->second;
  }
  Result<jobs::Job> find_client_id(const std::string& owner, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    ++reads;
    for (auto job = jobs_.rbegin(); job != jobs_.rend(); ++job) {
      if (job->second.asked.owner == owner && job->second.asked.client_id == name)
        return job->second;
    }
    return Error{ErrorCode::kNotFound, "there is no job called " + name};
  }
  Result<std::vector<jobs::Job>> list(const jobs::JobQuery& query) override {
    const std::lock_guard lock(mutex_);
    ++reads;
    std::vector<jobs::Job> jobs;
    for (auto job = jobs_.rbegin(); job != jobs_.rend() && jobs.size() < query.limit; ++job) {
      const auto& states = query.states;
      if (query.owner && job->second.asked.owner != *query.owner) continue;
      if (!states.empty() &&
          std::find(states.begin(), states.end(), job->second.state) == states.end()) {
        continue;
      }
      jobs.push_back(job->second);
    }
    return jobs;
  }
  Result<std::string> read_result(const std::string& id, int64_t index) override {
    const std::lock_guard lock(mutex_);
    ++reads;
    const auto found = files_.find({id, index});
    if (found == files_.end()) return Error{ErrorCode::kNotFound, "there is no such result"};
    return found->second;
  }
  Result<jobs::State> cancel(const std::string& id, jobs::CancelMode mode) override {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return Error{ErrorCode::kNotFound, "there is no job " + id};
    jobs::Job& job = found->second;
    if (!jobs::is_final(job.state)) job.cancel = mode;
    if (job.state == jobs::State::kQueued) job.state = jobs::State::kCancelled;
    return job.state;
  }
  Result<jobs::QueueCounts> counts() override {
    const std::lock_guard lock(mutex_);
    jobs::QueueCounts counts;
    for (const auto& [id, job] : jobs_) ++counts.jobs[job.state];
    return counts;
  }
  Result<Usage> usage(const std::string&, jobs::Time) override { return Usage{}; }
  Result<std::vector<std::string>> order(size_t) override { return std::vector<std::string>(); }
  Result<std::vector<jobs::StoredEvent>> events(const std::string&) override {
    return std::vector<jobs::StoredEvent>();
  }
  Result<std::vector<jobs::Change>> sweep() override { return std::vector<jobs::Change>(); }
  Result<std::optional<jobs::Claim>> claim(const jobs::ClaimOptions&) override { return unused(); }
  Result<jobs::RenewedLease> renew(const jobs::Lease&, int64_t) override { return unused(); }
  Result<bool> finish(const jobs::Lease&, const jobs::Outcome&) override { return unused(); }
  Result<bool> give_back(const jobs::Lease&, bool, const std::string&) override { return unused(); }

  /// Changes a job as a worker would; `pictures` are its files.
  void set(const std::string& id, jobs::State state, const std::vector<std::string>& pictures = {},
           std::optional<jobs::JobError> error = {}) {
    const std::lock_guard lock(mutex_);
    jobs::Job& job = jobs_.at(id);
    job.state = state;
    job.error = std::move(error);
    if (state == jobs::State::kRunning) job.started = jobs::now();
    if (jobs::is_final(state)) job.finished = jobs::now();
    for (const std::string& picture : pictures) {
      const auto index = static_cast<int64_t>(job.results.size());
      files_[{id, index}] = picture;
      job.results.push_back({.index = index,
                             .media_type = "image/png",
                             .bytes = picture.size(),
                             .width = job.asked.request.width,
                             .height = job.asked.request.height,
                             .seed = job.asked.request.seed + index,
                             .subseed = 0,
                             .infotext = "a text\nSteps: 20",
                             .saved_as = job.asked.delivery.save ? "00001.png" : ""});
    }
  }

 private:
  static Error unused() { return {ErrorCode::kInternal, "nobody works on these jobs"}; }

  std::mutex mutex_;
  std::map<std::string, jobs::Job> jobs_;
  std::map<std::pair<std::string, int64_t>, std::string> files_;
};

/// All that routes answer from, in memory.
struct FakeBackend {
  TemporaryFolder folder;
  std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
  jobs::Service service{store};
  FakeCatalog catalog;
  FakeWorkers workers;
  std::unique_ptr<api::Options> options = std::move(*api::Options::open(folder.path(), "/out"));
  api::Backend backend{.jobs = service,
                       .catalog = catalog,
                       .workers = workers,
                       .options = *options,
                       .facts = {.version = "Safelight test", .started = jobs::now()},
                       .limits = {},
                       .shut_down = {},
                       .signing_key = "key"};

  /// Tells watchers of what set() put into the store.
  void publish(const std::string& id, jobs::State state) {
    const auto job = store->find(id);
    service.hub().publish(
        {.kind = jobs::Event::Kind::kState, .job = id, .owner = job->asked.owner, .state = state});
  }
};

}  // namespace safelight::test
