#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "api/native/job_json.h"
#include "api/native/server_json.h"
#include "api/native/watch_message.h"
#include "base/json.h"

namespace safelight::api::native {
namespace {

namespace json = boost::json;

TEST(IsoTime, IsUtcWithMilliseconds) {
  EXPECT_EQ(iso_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(iso_time(1'732'474'310'007), "2024-11-24T18:51:50.007Z");
}

jobs::Job finished_job() {
  jobs::Job job;
  job.id = "01HZZ";
  job.asked.owner = "ann";
  job.asked.request.prompt = "an apple";
  job.asked.request.seed = 7;
  job.state = jobs::State::kSucceeded;
  job.created = 1000;
  job.finished = 5000;
  job.results.push_back({.index = 0,
                         .sha256 = "ab",
                         .media_type = "image/png",
                         .bytes = 12,
                         .width = 64,
                         .height = 32,
                         .seed = 7,
                         .infotext = "an apple\nSteps: 20"});
  return job;
}

TEST(JobJson, TellsAFinishedJobWithLinksToItsResults) {
  const json::object object = job_json(finished_job(), {}, "http://h:1/sd");
  EXPECT_EQ(object.at("state"), "succeeded");
  EXPECT_EQ(object.at("request").at("seed"), 7);
  EXPECT_EQ(object.at("finished"), "1970-01-01T00:00:05.000Z");
  EXPECT_TRUE(object.at("started").is_null());
  const json::value& result = object.at("results").at(0);
  EXPECT_EQ(result.at("url"), "http://h:1/sd/api/v1/jobs/01HZZ/results/0");
  EXPECT_EQ(result.at("width"), 64);
  EXPECT_FALSE(object.contains("position"));
  EXPECT_EQ(object.at("links").at("self"), "http://h:1/sd/api/v1/jobs/01HZZ");
}

TEST(JobJson, TellsWhyAJobFailed) {
  jobs::Job job = finished_job();
  job.state = jobs::State::kFailed;
  job.error = jobs::JobError{ErrorCode::kOutOfMemory, "needs 9 GB"};
  const json::object object = job_json(job, {}, "");
  EXPECT_EQ(object.at("error").at("code"), "out_of_memory");
  EXPECT_EQ(object.at("error").at("message"), "needs 9 GB");
}

TEST(JobJson, TellsAnUnfinishedJobFromWhatIsLive) {
  jobs::LiveJob live{.owner = "ann", .created = 1000, .position = 3};
  json::object object = live_json("01H", live, "http://h");
  EXPECT_EQ(object.at("state"), "queued");
  EXPECT_EQ(object.at("position"), 3);
  EXPECT_TRUE(object.at("eta_seconds").is_null());
  live.state = jobs::State::kRunning;
  live.eta_seconds = 2.46;
  live.progress = {.batch = 0, .batches = 2, .step = 5, .steps = 10};
  object = live_json("01H", live, "http://h");
  EXPECT_TRUE(object.at("position").is_null());
  EXPECT_EQ(object.at("eta_seconds"), 2.5);
  EXPECT_EQ(object.at("progress").at("fraction"), 0.25);
}

TEST(Events, HaveTheirFormByKind) {
  jobs::Event event{.sequence = 9, .job = "01H", .time = 1000, .state = jobs::State::kRunning};
  event.detail = "attempt 1";
  json::value text = parse_json(event_text(event)).value();
  EXPECT_EQ(text.at("type"), "state");
  EXPECT_EQ(text.at("state"), "running");
  EXPECT_EQ(text.at("sequence"), 9);
  EXPECT_EQ(text.at("detail"), "attempt 1");
  event.kind = jobs::Event::Kind::kProgress;
  event.progress = {.step = 1, .steps = 4};
  event.eta_seconds = 3;
  text = parse_json(event_text(event)).value();
  EXPECT_EQ(text.at("type"), "progress");
  EXPECT_EQ(text.at("progress").at("steps"), 4);
  EXPECT_EQ(text.at("eta_seconds"), 3.0);
  event.kind = jobs::Event::Kind::kPreview;
  event.jpeg = "\xff\xd8";
  text = parse_json(event_text(event)).value();
  EXPECT_EQ(text.at("type"), "preview");
  EXPECT_EQ(text.at("image"), "/9g=");
}

TEST(StoredEvents, NameTheStateThatTheyLeadTo) {
  const auto state = [](const char* type) {
    const json::object event = stored_event_json("01H", {.sequence = 1, .time = 1, .type = type});
    return event.contains("state") ? std::string(event.at("state").as_string()) : "";
  };
  EXPECT_EQ(state("running"), "running");
  EXPECT_EQ(state("requeued"), "queued");
  EXPECT_EQ(state("cancel_requested"), "");
  EXPECT_EQ(state("succeeded"), "succeeded");
}

TEST(WatchMessage, ReadsSubscriptions) {
  const auto one = read_watch_message(R"({"subscribe": "01H"})");
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_TRUE(one->subscribe);
  EXPECT_EQ(one->jobs, std::vector<std::string>{"01H"});
  EXPECT_FALSE(one->previews);
  const auto all = read_watch_message(
      R"({"subscribe": ["*", "01J"], "previews": true, "preview_interval_ms": 250})");
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->jobs, (std::vector<std::string>{"*", "01J"}));
  EXPECT_TRUE(all->previews);
  EXPECT_EQ(all->preview_interval_ms, 250);
  EXPECT_FALSE(read_watch_message(R"({"unsubscribe": "*"})")->subscribe);
}

TEST(WatchMessage, RefusesOthers) {
  for (const char* text :
       {"", "[]", "{}", "\"subscribe\"", R"({"subscribe": 3})", R"({"subscribe": ""})",
        R"({"subscribe": "a", "unsubscribe": "a"})", R"({"subscribe": [["a"]]})",
        R"({"subscribe": "a", "previews": 1})", R"({"subscribe": "a", "preview_interval_ms": 1})",
        R"({"subscribe": "a", "subscribe": "b"})"}) {
    EXPECT_FALSE(read_watch_message(text)) << text;
  }
  EXPECT_FALSE(read_watch_message(R"({"subscribe": ")" + std::string(65, 'a') + "\"}"));
  EXPECT_FALSE(read_watch_message(std::string(kMaxWatchMessage + 1, ' ')));
}

TEST(QueueJson, CountsAllAndListsTheCallersOwn) {
  const std::vector<std::pair<std::string, jobs::LiveJob>> unfinished = {
      {"1", {.owner = "ann", .state = jobs::State::kRunning}},
      {"2", {.owner = "bob"}},
      {"3", {.owner = "ann"}},
      {"4", {.owner = "ann", .state = jobs::State::kFailed}},
  };
  const Principal ann{.name = "ann", .role = Role::kUser};
  json::object queue = queue_json(unfinished, ann, 10, "");
  EXPECT_EQ(queue.at("running"), 1);
  EXPECT_EQ(queue.at("queued"), 2);
  EXPECT_EQ(queue.at("jobs").as_array().size(), 2U);
  EXPECT_EQ(queue_json(unfinished, ann, 1, "").at("jobs").as_array().size(), 1U);
  EXPECT_EQ(queue_json(unfinished, {}, 10, "").at("jobs").as_array().size(), 3U);
}

TEST(StatusJson, KeepsFromUsersWhatWorkersDo) {
  const std::vector<jobs::WorkerStatus> workers = {
      {.name = "w", .process = 42, .job = "01H", .models = {{.name = "m", .bytes = 5}}}};
  const json::object admin = status_json({}, workers, true);
  EXPECT_EQ(admin.at("workers").at(0).at("job"), "01H");
  EXPECT_EQ(admin.at("workers").at(0).at("models").at(0).at("bytes"), 5);
  EXPECT_GT(admin.at("memory").at("server_resident_bytes").to_number<uint64_t>(), 1'000'000U);
  const json::object user = status_json({}, workers, false);
  EXPECT_FALSE(user.at("workers").at(0).as_object().contains("job"));
  EXPECT_EQ(user.at("workers").at(0).at("busy"), true);
}

TEST(ModelsJson, ShowsPathsToAdminsOnly) {
  const std::vector<ModelInfo> models = {
      {.name = "m", .kind = "checkpoint", .path = "models/m.safetensors"}};
  const std::vector<jobs::WorkerStatus> workers = {{.models = {{.name = "m"}}}};
  EXPECT_EQ(models_json(models, workers, true).at(0).at("path"), "models/m.safetensors");
  EXPECT_EQ(models_json(models, workers, true).at(0).at("loaded"), true);
  EXPECT_FALSE(models_json(models, {}, false).at(0).as_object().contains("path"));
  EXPECT_EQ(models_json(models, {}, false).at(0).at("loaded"), false);
}

}  // namespace
}  // namespace safelight::api::native
