#include "api/native/submit_body.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "base/json.h"

namespace safelight::api::native {
namespace {

SubmitBody read(std::string_view text) {
  SubmitBody body;
  const auto wrong = read_submit_body(parse_json(text).value(), body);
  EXPECT_FALSE(wrong) << wrong->error.message;
  return body;
}

FieldError refused(std::string_view text) {
  SubmitBody body;
  const auto wrong = read_submit_body(parse_json(text).value(), body);
  EXPECT_TRUE(wrong) << text;
  return wrong.value_or(FieldError{});
}

TEST(SubmitBody, ReadsARequestWithWhatBelongsToItsJob) {
  const SubmitBody body = read(R"({"prompt": "an apple", "steps": 12, "sampler_name": "Euler a",
    "delivery": {"format": "webp", "quality": 77, "metadata": false, "save": true, "pattern": "[seed]",
                 "previews": true},
    "priority": -3, "deadline": 90, "timeout": 1.5, "idempotency_key": "k"})");
  ASSERT_EQ(body.submissions.size(), 1U);
  EXPECT_FALSE(body.batch);
  EXPECT_TRUE(body.warnings.empty());
  const Submission& job = body.submissions[0];
  EXPECT_EQ(job.request.prompt, "an apple");
  EXPECT_EQ(job.request.steps, 12);
  EXPECT_EQ(job.request.sampler, "Euler a");
  const jobs::Delivery delivery{.format = "webp",
                                .quality = 77,
                                .metadata = false,
                                .save = true,
                                .pattern = "[seed]",
                                .previews = true};
  EXPECT_EQ(job.delivery, delivery);
  EXPECT_EQ(job.priority, -3);
  EXPECT_EQ(job.deadline_ms, 90'000);
  EXPECT_EQ(job.timeout_ms, 1500);
  EXPECT_EQ(job.idempotency_key, "k");
  EXPECT_EQ(job.source, "native");
}

TEST(SubmitBody, TakesAListOfLoras) {
  const SubmitBody body = read(R"({"prompt": "x", "loras": [{"name": "y", "weight": 0.5}]})");
  EXPECT_EQ(body.submissions.at(0).request.prompt, "x<lora:y:0.5>");
  EXPECT_TRUE(body.warnings.empty());
  EXPECT_EQ(refused(R"({"loras": 3})").field, "loras");
  EXPECT_EQ(refused(R"({"loras": [{"nmae": "y"}]})").field, "loras");
}

TEST(SubmitBody, NullIsTheDefault) {
  const SubmitBody body =
      read(R"({"prompt": "x", "steps": null, "delivery": null, "priority": null})");
  EXPECT_EQ(body.submissions.at(0).request.steps, request::Request{}.steps);
}

TEST(SubmitBody, RefusesAWrongFieldByItsPathWithItsLimits) {
  const FieldError wrong = refused(R"({"jobs": [{"prompt": "a"}, {"prompt": "b", "steps": 0}]})");
  EXPECT_EQ(wrong.field, "jobs[1].steps");
  EXPECT_EQ(wrong.error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(wrong.error.message, "jobs[1].steps is 0; 1 to 1000 is possible; the default is 20");
  EXPECT_EQ(boost::json::serialize(wrong.limits), R"({"minimum":1,"maximum":1000,"default":20})");
}

TEST(SubmitBody, NamesTheFieldOfEachKindOfFault) {
  const std::pair<const char*, const char*> faults[] = {
      {R"({"steps": "many"})", "steps"},
      {R"({"width": 100})", "width"},
      {R"({"prompt": 7})", "prompt"},
      {R"({"noise_source": "sea"})", "noise_source"},
      {R"({"delivery": []})", "delivery"},
      {R"({"delivery": {"format": "bmp"}})", "delivery.format"},
      {R"({"delivery": {"quality": 0}})", "delivery.quality"},
      {R"({"delivery": {"save": "yes"}})", "delivery.save"},
      {R"({"priority": 101})", "priority"},
      {R"({"priority": 0.5})", "priority"},
      {R"({"timeout": -1})", "timeout"},
      {R"({"steps": 3, "sampler": "a", "sampler_name": "b"})", "sampler"},
      {R"({"jobs": {}})", "jobs"},
      {R"({"jobs": []})", "jobs"},
      {R"({"jobs": [3]})", "jobs[0]"},
      {R"([])", ""},
  };
  for (const auto& [text, field] : faults) EXPECT_EQ(refused(text).field, field) << text;
}

TEST(SubmitBody, ChecksHowFieldsStandToEachOther) {
  EXPECT_NE(refused(R"({"guidance_start": 0.9, "guidance_end": 0.1})").error.message.find("behind"),
            std::string::npos);
}

TEST(SubmitBody, WarnsOfUnknownFieldsNamingTheNearest) {
  const SubmitBody body =
      read(R"({"prompt": "x", "stpes": 3, "delivery": {"formt": "png"}, "zzzzzzzz": 1})");
  ASSERT_EQ(body.warnings.size(), 3U);
  EXPECT_EQ(body.warnings[0],
            "the field 'stpes' is not known, and was ignored; did you mean 'steps'?");
  EXPECT_EQ(body.warnings[1], "the field 'zzzzzzzz' is not known, and was ignored");
  EXPECT_EQ(body.warnings[2],
            "the field 'delivery.formt' is not known, and was ignored; did you mean 'format'?");
}

TEST(SubmitBody, TakesAThousandJobsAndNotOneMore) {
  const auto batch = [](size_t jobs) {
    std::string text = R"({"jobs": [)";
    for (size_t i = 0; i < jobs; ++i)
      text += fmt::format("{}{{\"seed\": {}}}", i > 0 ? "," : "", i);
    return text + "]}";
  };
  const SubmitBody body = read(batch(kMaxBatch));
  EXPECT_TRUE(body.batch);
  ASSERT_EQ(body.submissions.size(), kMaxBatch);
  EXPECT_EQ(body.submissions.back().request.seed, 999);
  EXPECT_EQ(refused(batch(kMaxBatch + 1)).field, "jobs");
}

TEST(SubmitBody, BoundsTheWarnings) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += fmt::format("{}\"u{}\": 1", i > 0 ? "," : "", i);
  EXPECT_LE(read(text + "}").warnings.size(), 20U);
}

}  // namespace
}  // namespace safelight::api::native
