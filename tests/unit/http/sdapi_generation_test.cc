#include "base/base64.h"
#include "sdapi_support.h"

namespace safelight::http {
namespace {

namespace json = boost::json;

using SdapiGeneration = SdapiRoutes;

TEST_F(SdapiGeneration, ATextBecomesPictures) {
  end_jobs(jobs::State::kSucceeded, {"one", "two"});
  const Reply reply = post(kTxt2Img, R"({"prompt":"a cat","n_iter":2,"seed":7,"width":64,
      "height":64,"sampler_name":"DPM++ 2M Karras","nothing":null})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = parsed(reply).as_object();
  EXPECT_EQ(answer.at("images"), (json::array{base64_encode("one"), base64_encode("two")}));
  EXPECT_EQ(answer.at("job_id"), "job-1");
  const json::object parameters = answer.at("parameters").as_object();
  EXPECT_EQ(parameters.at("prompt"), "a cat");
  EXPECT_EQ(parameters.at("seed"), 7);
  EXPECT_EQ(parameters.at("steps"), 20);

  ASSERT_TRUE(answer.at("info").is_string());
  const json::object info = parse_json(answer.at("info").as_string())->as_object();
  EXPECT_EQ(info.at("prompt"), "a cat");
  EXPECT_EQ(info.at("all_seeds"), (json::array{7, 8}));
  EXPECT_EQ(info.at("all_prompts").as_array().size(), 2U);
  EXPECT_EQ(info.at("infotexts").as_array().size(), 2U);
  EXPECT_EQ(info.at("sampler_name"), "DPM++ 2M");
  EXPECT_EQ(info.at("extra_generation_params").at("Schedule type"), "Karras");
  EXPECT_EQ(info.at("sd_model_name"), "emoji-128");
  EXPECT_EQ(info.at("sd_model_hash"), "aaaaaaaaaa");
  EXPECT_EQ(info.at("job_timestamp").as_string().size(), 14U);
  EXPECT_EQ(info.at("index_of_first_image"), 0);

  const auto job = fake_.store->find("job-1");
  EXPECT_EQ(job->asked.source, "sdapi");
  EXPECT_EQ(job->asked.owner, "root");
}

TEST_F(SdapiGeneration, HeadersGoIntoTheJob) {
  end_jobs(jobs::State::kSucceeded, {"one"});
  FakeExchange exchange("POST", std::string(kTxt2Img));
  exchange.with_body("{}").with_header("Idempotency-Key", "k1").with_header("traceparent", "00-1");
  EXPECT_EQ(call(exchange).status, 200);
  const auto job = fake_.store->find("job-1");
  EXPECT_EQ(job->asked.idempotency_key, "k1");
  EXPECT_EQ(job->asked.traceparent, "00-1");
}

TEST_F(SdapiGeneration, PicturesThatAreNotWantedAreNotSent) {
  end_jobs(jobs::State::kSucceeded, {"one"});
  const Reply reply = post(kTxt2Img, R"({"send_images":false,"save_images":true})");
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(parsed(reply).at("images"), json::array());
  EXPECT_TRUE(fake_.store->find("job-1")->asked.delivery.save);
}

TEST_F(SdapiGeneration, AnInterruptedJobGivesWhatIsDone) {
  end_jobs(jobs::State::kCancelled, {"half"}, {}, jobs::CancelMode::kInterrupt);
  const Reply reply = post(kTxt2Img, "{}");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(parsed(reply).at("images"), json::array{base64_encode("half")});
}

TEST_F(SdapiGeneration, EachOtherEndHasItsStatus) {
  struct Case {
    jobs::State state;
    std::optional<jobs::JobError> error;
    int status;
  };
  for (const Case& end : {
           Case{jobs::State::kFailed, jobs::JobError{ErrorCode::kOutOfMemory, "too large"}, 507},
           Case{jobs::State::kFailed, std::nullopt, 500},
           Case{jobs::State::kRefused, jobs::JobError{ErrorCode::kRefused, "the policy"}, 400},
           Case{jobs::State::kRefused, std::nullopt, 400},
           Case{jobs::State::kExpired, std::nullopt, 503},
           Case{jobs::State::kCancelled, std::nullopt, 499},
       }) {
    test::FakeBackend fake;
    Router router;
    add_sdapi_routes(router, fake.backend);
    fake.service.on_work([&] {
      fake.store->set("job-1", end.state, {}, end.error);
      fake.publish("job-1", end.state);
    });
    FakeExchange exchange("POST", std::string(kTxt2Img));
    exchange.with_body("{}");
    const Reply reply = run(router.find("POST", kTxt2Img).route->handler(exchange));
    EXPECT_EQ(reply.status, end.status) << reply.body;
    const json::object error = parsed(reply).as_object();
    for (const char* const key : {"error", "detail", "body", "errors"}) {
      EXPECT_TRUE(error.contains(key)) << reply.body;
    }
    if (end.error) {
      EXPECT_EQ(error.at("detail"), json::value(end.error->message));
    }
  }
}

TEST_F(SdapiGeneration, AClientThatGoesAwayLosesNothing) {
  const std::string id = queue(kAnn, R"({"prompt":"a dog","force_task_id":"mine"})");
  EXPECT_EQ(fake_.store->find(id)->state, jobs::State::kQueued);
  fake_.store->set(id, jobs::State::kSucceeded, {"late"});
  fake_.publish(id, jobs::State::kSucceeded);
  FakeExchange exchange("GET", "/sdapi/v1/history");
  const Reply history = call(exchange.with_query("id", id).as(kAnn));
  ASSERT_EQ(history.status, 200);
  EXPECT_EQ(parsed(history).at(0).at("op"), "end");
}

TEST_F(SdapiGeneration, WhatIsWrongIsToldBeforeThereIsAJob) {
  for (const auto& [body, status] : std::vector<std::pair<std::string, int>>{
           {"{", 422},
           {"[]", 422},
           {R"({"steps":0})", 422},
           {R"({"enable_hr":true})", 422},
           {R"({"sd_model_checkpoint":"nonsense"})", 404},
       }) {
    const Reply reply = post(kTxt2Img, body);
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_TRUE(parsed(reply).as_object().contains("detail"));
  }
  EXPECT_TRUE(fake_.store->list({})->empty());
}

TEST_F(SdapiGeneration, OnlyAnAdminsOverridesStay) {
  end_jobs(jobs::State::kSucceeded, {"one"});
  const std::string body = R"({"override_settings":{"samples_format":"webp"},
      "override_settings_restore_afterwards":false})";
  EXPECT_EQ(post(kTxt2Img, body, kAnn).status, 403);
  EXPECT_EQ(fake_.options->text("samples_format"), "png");
  EXPECT_EQ(post(kTxt2Img, R"({"override_settings":{"samples_format":"webp"}})", kAnn).status, 200);
  EXPECT_EQ(fake_.options->text("samples_format"), "png");
  EXPECT_EQ(post(kTxt2Img, body).status, 200);
  EXPECT_EQ(fake_.options->text("samples_format"), "webp");
}

}  // namespace
}  // namespace safelight::http
