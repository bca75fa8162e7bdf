#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "base/base64.h"
#include "sdapi_support.h"

namespace safelight::http {
namespace {

namespace json = boost::json;

TEST_F(SdapiRoutes, IdleIsExactlyNothing) {
  const json::object progress = got("/sdapi/v1/progress");
  EXPECT_EQ(progress.at("progress").to_number<double>(), 0);
  EXPECT_EQ(progress.at("state").at("job_count"), 0);
  EXPECT_EQ(progress.at("state").at("job"), "");
  EXPECT_TRUE(progress.at("current_image").is_null());
  EXPECT_EQ(got("/sdapi/v1/status").at("status"), "idle");
}

TEST_F(SdapiRoutes, ProgressIsOfTheOwnJobAndAsksNoStore) {
  const std::string anns = running(kAnn), bens = running(kBen);
  for (const auto& [id, step] : std::vector<std::pair<std::string, int>>{{anns, 5}, {bens, 10}}) {
    fake_.service.hub().publish({.kind = jobs::Event::Kind::kProgress,
                                 .job = id,
                                 .progress = {.batches = 2, .step = step, .steps = 20},
                                 .eta_seconds = 3});
    fake_.service.hub().publish(
        {.kind = jobs::Event::Kind::kPreview, .job = id, .jpeg = "jpeg of " + id});
  }
  const int before = fake_.store->reads;
  FakeExchange exchange("GET", "/sdapi/v1/progress");
  const json::object progress = parsed(call(exchange.as(kBen))).as_object();
  EXPECT_EQ(exchange.blocking_calls, 0);
  EXPECT_EQ(progress.at("id"), json::value(bens));
  EXPECT_DOUBLE_EQ(progress.at("progress").to_number<double>(), 0.25);
  EXPECT_EQ(progress.at("state").at("job_count"), 2);
  EXPECT_EQ(progress.at("state").at("sampling_step"), 10);
  EXPECT_EQ(progress.at("state").at("job_timestamp").as_string().size(), 14U);
  EXPECT_EQ(progress.at("current_image"), json::value(base64_encode("jpeg of " + bens)));

  for (const char* const flag : {"skip_current_image", "skipCurrentImage"}) {
    FakeExchange without("GET", "/sdapi/v1/progress");
    without.as(kAnn).with_query(flag, "true");
    const json::object answer = parsed(call(without)).as_object();
    EXPECT_EQ(answer.at("id"), json::value(anns));
    EXPECT_TRUE(answer.at("current_image").is_null());
  }
  // An admin without one sees the running one, others none.
  EXPECT_EQ(got("/sdapi/v1/progress").at("id"), json::value(anns));
  EXPECT_TRUE(
      got("/sdapi/v1/progress", {.name = "eve", .role = api::Role::kUser}).at("id").is_null());

  FakeExchange status("GET", "/sdapi/v1/status");
  const json::object facts = parsed(call(status.as(kBen))).as_object();
  EXPECT_EQ(status.blocking_calls, 0);
  EXPECT_EQ(facts.at("status"), "running");
  EXPECT_EQ(facts.at("step"), 10);
  EXPECT_EQ(fake_.store->reads, before);
}

TEST_F(SdapiRoutes, AWaitingJobIsNotIdle) {
  const std::string id = queue(kAnn);
  fake_.service.hub().set_position(id, 3, 40);
  const json::object progress = got("/sdapi/v1/progress", kAnn);
  EXPECT_EQ(progress.at("id"), json::value(id));
  EXPECT_EQ(progress.at("progress").to_number<double>(), 0);
  EXPECT_EQ(progress.at("state").at("job_count"), 1);
  EXPECT_EQ(progress.at("textinfo"), "waiting, 3 before it");
}

TEST_F(SdapiRoutes, InterruptAndSkipAreForTheOwnJobs) {
  const std::string anns = running(kAnn), bens = running(kBen), waits = queue(kAnn);
  EXPECT_EQ(post("/sdapi/v1/interrupt", "", kAnn).body, "{}");
  EXPECT_EQ(fake_.store->find(anns)->cancel, jobs::CancelMode::kInterrupt);
  EXPECT_EQ(fake_.store->find(bens)->cancel, jobs::CancelMode::kNone);
  EXPECT_EQ(fake_.store->find(waits)->state, jobs::State::kQueued);
  EXPECT_EQ(post("/sdapi/v1/skip", "", kBen).body, "{}");
  EXPECT_EQ(fake_.workers.calls, std::vector<std::string>{"skip " + bens});
  EXPECT_EQ(post("/sdapi/v1/interrupt").status, 200);
  EXPECT_EQ(fake_.store->find(bens)->cancel, jobs::CancelMode::kInterrupt);
}

TEST_F(SdapiRoutes, NetworksAreListed) {
  const json::value loras = parsed(get("/sdapi/v1/loras", kAnn));
  EXPECT_EQ(loras, json::parse(R"([{"name":"detail","alias":"Add Detail",
    "path":"/models/Lora/detail.safetensors","metadata":{"ss_output_name":"Add Detail"}}])"));
  const json::value embeddings = parsed(get("/sdapi/v1/embeddings", kAnn));
  EXPECT_EQ(embeddings, json::parse(R"({"loaded":{"easynegative":{"step":500,"sd_checkpoint":null,
    "sd_checkpoint_name":null,"shape":768,"vectors":8}},"skipped":{"xl":{"step":null,
    "sd_checkpoint":null,"sd_checkpoint_name":null,"shape":2048,"vectors":2}}})"));
  EXPECT_EQ(parsed(get("/sdapi/v1/sd-vae", kAnn)), json::array());
  const json::value all = parsed(get("/sdapi/v1/extra-networks", kAnn));
  ASSERT_FALSE(all.as_array().empty());
  EXPECT_EQ(all.at(0).at("type"), "model");
}

TEST_F(SdapiRoutes, TasksByTheClientsName) {
  const std::string id = queue(kAnn, R"({"force_task_id":"task-1"})");
  const std::string body = R"({"id_task":"task-1"})";
  EXPECT_EQ(parsed(post("/internal/progress", body, kAnn)).at("queued"), true);
  start(id);
  fake_.service.hub().publish({.kind = jobs::Event::Kind::kPreview, .job = id, .jpeg = "x"});
  const json::value live = parsed(post("/internal/progress", body, kAnn));
  EXPECT_EQ(live.at("active"), true);
  EXPECT_EQ(live.at("live_preview"), json::value("data:image/jpeg;base64," + base64_encode("x")));
  const std::string again = R"({"id_task":"task-1","id_live_preview":)" +
                            json::serialize(live.at("id_live_preview")) + "}";
  EXPECT_TRUE(parsed(post("/internal/progress", again, kAnn)).at("live_preview").is_null());
  EXPECT_EQ(parsed(get("/internal/pendingTasks", kAnn)),
            (json::value{{"size", 1}, {"tasks", {"task-1"}}}));
  // By our own id too; others do not learn that there is such a task.
  const std::string by_id = R"({"id_task":")" + id + R"("})";
  EXPECT_EQ(parsed(post("/internal/progress", by_id, kAnn)).at("active"), true);
  for (const std::string& asked : {body, by_id}) {
    const json::value unknown = parsed(post("/internal/progress", asked, kBen));
    EXPECT_EQ(unknown.at("active"), false);
    EXPECT_EQ(unknown.at("queued"), false);
    EXPECT_EQ(unknown.at("completed"), false);
  }
  fake_.store->set(id, jobs::State::kSucceeded);
  fake_.publish(id, jobs::State::kSucceeded);
  EXPECT_EQ(parsed(post("/internal/progress", body, kAnn)).at("completed"), true);
  EXPECT_EQ(post("/internal/progress", "{}", kAnn).status, 422);
}

TEST_F(SdapiRoutes, HistoryIsOfTheOwnJobs) {
  const std::string anns = queue(kAnn), bens = queue(kBen);
  const json::value own = parsed(get("/sdapi/v1/history", kAnn));
  ASSERT_EQ(own.as_array().size(), 1U);
  EXPECT_EQ(own.at(0).at("id"), json::value(anns));
  EXPECT_EQ(parsed(get("/sdapi/v1/history")).as_array().size(), 2U);
  FakeExchange exchange("GET", "/sdapi/v1/history");
  EXPECT_EQ(call(exchange.with_query("id", bens).as(kAnn)).body, "[]");
}

TEST_F(SdapiRoutes, OptionsAreReadAndSet) {
  json::object options = got("/sdapi/v1/options");
  EXPECT_EQ(options.at("sd_model_checkpoint"), "emoji-128.safetensors [aaaaaaaaaa]");
  EXPECT_EQ(options.at("samples_format"), "png");
  // The whole dict may come back, with what we do not know.
  options["jpeg_quality"] = 55;
  options["sd_lora"] = "None";
  const Reply set = post("/sdapi/v1/options", json::serialize(options));
  ASSERT_EQ(set.status, 200) << set.body;
  EXPECT_EQ(set.body, R"({"updated":[{"jpeg_quality":true}]})");
  EXPECT_TRUE(fake_.workers.calls.empty());
  EXPECT_EQ(got("/sdapi/v1/options").at("jpeg_quality"), 55);
  const Reply wrong = post("/sdapi/v1/options", R"({"jpeg_quality":"best"})");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_NE(wrong.body.find("jpeg_quality"), std::string::npos);
}

TEST_F(SdapiRoutes, TheCheckpointIsChosenOnceItIsLoaded) {
  EXPECT_EQ(post("/sdapi/v1/options", R"({"sd_model_checkpoint":"nonsense"})").status, 404);
  EXPECT_TRUE(fake_.workers.calls.empty());
  EXPECT_EQ(post("/sdapi/v1/options", R"({"sd_model_checkpoint":"dream"})").status, 200);
  EXPECT_EQ(fake_.workers.calls, std::vector<std::string>{"load dream"});
  EXPECT_EQ(got("/sdapi/v1/options").at("sd_model_checkpoint"), "dream.safetensors");

  FakeExchange exchange("POST", "/sdapi/v1/checkpoint");
  exchange.with_query("sd_model_checkpoint", "emoji-128");
  fake_.workers.loading = Error{ErrorCode::kOutOfMemory, "too large"};
  EXPECT_EQ(call(exchange).status, 507);
  EXPECT_EQ(fake_.options->text("sd_model_checkpoint"), "dream");
  fake_.workers.loading = Status();
  EXPECT_EQ(call(exchange).body, R"({"ok":true})");
  EXPECT_EQ(fake_.options->text("sd_model_checkpoint"), "emoji-128");
  EXPECT_EQ(post("/sdapi/v1/checkpoint", "{}").status, 422);

  fake_.workers.calls.clear();
  EXPECT_EQ(post("/sdapi/v1/unload-checkpoint").body, "{}");
  EXPECT_EQ(post("/sdapi/v1/reload-checkpoint").body, "{}");
  EXPECT_EQ(fake_.workers.calls, (std::vector<std::string>{"unload ", "load emoji-128"}));
  EXPECT_TRUE(got("/sdapi/v1/checkpoint").at("type").is_null());
  fake_.workers.workers[0].current_model = "emoji-128";
  EXPECT_EQ(got("/sdapi/v1/checkpoint").at("name"), "emoji-128");
  // Workers elsewhere load it when they come to its jobs.
  fake_.workers.workers.clear();
  fake_.workers.calls.clear();
  EXPECT_EQ(post("/sdapi/v1/options", R"({"sd_model_checkpoint":"dream"})").status, 200);
  EXPECT_TRUE(fake_.workers.calls.empty());
}

TEST_F(SdapiRoutes, ListsHaveTheShapeThatClientsRead) {
  const json::array samplers = parsed(get("/sdapi/v1/samplers")).as_array();
  EXPECT_EQ(samplers.at(0).at("name"), "DPM++ 2M");
  EXPECT_EQ(samplers.at(0).at("aliases"), (json::array{"k_dpmpp_2m", "dpmpp_2m"}));
  EXPECT_TRUE(samplers.at(0).at("options").is_object());
  const json::array schedulers = parsed(get("/sdapi/v1/schedulers")).as_array();
  EXPECT_EQ(schedulers.at(2).at("name"), "sgm_uniform");
  EXPECT_EQ(schedulers.at(2).at("label"), "SGM Uniform");
  const json::array models = parsed(get("/sdapi/v1/sd-models")).as_array();
  EXPECT_EQ(models.at(0).at("title"), "emoji-128.safetensors [aaaaaaaaaa]");
  EXPECT_EQ(models.at(0).at("model_name"), "emoji-128");
  EXPECT_TRUE(models.at(1).at("hash").is_null());
  EXPECT_EQ(parsed(get("/sdapi/v1/upscalers")).at(0).at("name"), "None");
  EXPECT_EQ(parsed(get("/sdapi/v1/prompt-styles")),
            json::value(json::array{json::object{
                {"name", "Oil"}, {"prompt", "{prompt}, oil"}, {"negative_prompt", "photo"}}}));
  EXPECT_EQ(parsed(get("/sdapi/v1/wildcards")), json::value(json::array{"color"}));
  EXPECT_EQ(got("/sdapi/v1/options-info").at("options").at("jpeg_quality").at("type"), "integer");
  EXPECT_EQ(post("/sdapi/v1/refresh-checkpoints").body, "{}");
  EXPECT_EQ(fake_.catalog.refreshed, 1);
}

TEST_F(SdapiRoutes, FlagsTellNoSecrets) {
  fake_.backend.facts.flags = {{"--port", "7860"},
                               {"--data-dir", "/data"},
                               {"--auth", "ann:pw1"},
                               {"--tls-key", "k.pem"},
                               {"--api-password", "pw2"}};
  EXPECT_EQ(got("/sdapi/v1/cmd-flags"), (json::object{{"port", "7860"}, {"data_dir", "/data"}}));
}

TEST_F(SdapiRoutes, MemoryAndPlatformTellOfThisMachine) {
  const json::object memory = got("/sdapi/v1/memory");
  EXPECT_GT(memory.at("ram").at("total").to_number<uint64_t>(), uint64_t{1} << 26);
  EXPECT_GT(memory.at("ram").at("used").to_number<uint64_t>(), uint64_t{1} << 20);
  EXPECT_EQ(got("/sdapi/v1/platform").at("device"), "cpu");
  EXPECT_EQ(got("/sdapi/v1/version").at("version"), "Safelight test");
}

TEST_F(SdapiRoutes, PngInfoReadsAndBoundsWhatItGets) {
  EXPECT_EQ(post("/sdapi/v1/png-info", R"({"image":"no base64!"})").status, 422);
  EXPECT_EQ(post("/sdapi/v1/png-info", R"({"image":""})").status, 422);
  EXPECT_EQ(post("/sdapi/v1/png-info", R"({"image":5})").status, 422);
  EXPECT_EQ(post("/sdapi/v1/png-info", R"({"image":")" + base64_encode("GIF89a") + "\"}").status,
            422);
  FakeExchange file("GET", "/sdapi/v1/png-info");
  EXPECT_EQ(call(file.with_query("file", "/etc/passwd")).status, 403);
}

TEST_F(SdapiRoutes, AnAdminMayEndTheServer) {
  int ends = 0;
  fake_.backend.shut_down = [&] { ++ends; };
  EXPECT_EQ(post("/sdapi/v1/shutdown").body, "{}");
  EXPECT_EQ(post("/sdapi/v1/server-restart").body, "{}");
  EXPECT_EQ(ends, 2);
}

TEST_F(SdapiRoutes, EveryGetAnswersWithJson) {
  for (const Route& route : router_.routes()) {
    if (route.method != "GET" || route.pattern == "/sdapi/v1/png-info") continue;
    const Reply reply = get(route.pattern);
    EXPECT_EQ(reply.status, 200) << route.pattern;
    EXPECT_EQ(reply.content_type, "application/json") << route.pattern;
    EXPECT_TRUE(parse_json(reply.body).ok()) << route.pattern << ": " << reply.body;
  }
}

TEST_F(SdapiRoutes, WhatIsNotThereIsToldInWords) {
  for (const char* const path : {"/sdapi/v1/img2img", "/sdapi/v1/interrogate"}) {
    const Reply reply = post(path);
    EXPECT_EQ(reply.status, 404);
    EXPECT_NE(parsed(reply).at("detail").as_string().find(path), json::string::npos);
  }
}

TEST_F(SdapiRoutes, WhoMayDoWhat) {
  const std::set<std::string> admins = {
      "/sdapi/v1/options",           "/sdapi/v1/checkpoint",  "/sdapi/v1/unload-checkpoint",
      "/sdapi/v1/reload-checkpoint", "/sdapi/v1/shutdown",    "/sdapi/v1/restart",
      "/sdapi/v1/server-kill",       "/sdapi/v1/server-stop", "/sdapi/v1/server-restart"};
  for (const Route& route : router_.routes()) {
    EXPECT_EQ(route.options.errors, ErrorForm::kSdWebUi) << route.pattern;
    EXPECT_FALSE(route.options.operation.empty()) << route.pattern;
    EXPECT_NE(route.options.access, Access::kOpen) << route.pattern;
    if (route.method == "POST" && route.pattern != "/internal/progress") {
      EXPECT_EQ(route.options.access,
                admins.contains(route.pattern) ? Access::kAdmin : Access::kUser)
          << route.pattern;
    }
  }
  EXPECT_EQ(router_.find("GET", "/sdapi/v1/log").route->options.access, Access::kAdmin);
  EXPECT_EQ(router_.find("GET", "/sdapi/v1/progress").route->options.rate_cost, 0);
}

}  // namespace
}  // namespace safelight::http
