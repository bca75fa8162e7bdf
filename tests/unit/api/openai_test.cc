#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "api/openai/file_token.h"
#include "api/openai/images_body.h"
#include "api/openai/images_reply.h"
#include "base/json.h"

namespace safelight::api::openai {
namespace {

namespace json = boost::json;

ImagesBody read(std::string_view text) {
  ImagesBody body;
  const auto wrong = read_images_body(parse_json(text).value(), body);
  EXPECT_FALSE(wrong) << wrong->error.message;
  return body;
}

std::string wrong_field(std::string_view text) {
  ImagesBody body;
  const auto wrong = read_images_body(parse_json(text).value(), body);
  EXPECT_TRUE(wrong) << text;
  return wrong ? wrong->field : "none";
}

TEST(ImagesBody, HasOpenAisDefaults) {
  const ImagesBody body = read(R"({"prompt": "a cat"})");
  EXPECT_EQ(body.submission.request.prompt, "a cat");
  EXPECT_EQ(body.submission.request.batch_count, 1);
  EXPECT_EQ(body.submission.request.width, 0);
  EXPECT_EQ(body.submission.request.steps, request::Request{}.steps);
  EXPECT_EQ(body.submission.delivery.format, "png");
  EXPECT_EQ(body.submission.source, "openai");
  EXPECT_EQ(body.quality, "medium");
  EXPECT_FALSE(body.urls);
  EXPECT_FALSE(body.stream);
  EXPECT_TRUE(body.notes.empty());
}

TEST(ImagesBody, ReadsAllThatOpenAisClientsSend) {
  const ImagesBody body =
      read(R"({"prompt": "a cat", "model": "gpt-image-1", "n": 3, "size": "512x768",
    "quality": "high", "background": "transparent", "moderation": "low", "output_format": "webp",
    "output_compression": 60, "response_format": "url", "stream": true, "partial_images": 2, "user": "u"})");
  EXPECT_EQ(body.submission.request.model, "");
  EXPECT_EQ(body.submission.request.batch_count, 3);
  EXPECT_EQ(body.submission.request.width, 512);
  EXPECT_EQ(body.submission.request.height, 768);
  EXPECT_EQ(body.submission.request.steps, 40);
  EXPECT_EQ(body.submission.delivery.format, "webp");
  EXPECT_EQ(body.submission.delivery.quality, 60);
  EXPECT_TRUE(body.submission.delivery.previews);
  EXPECT_EQ(body.quality, "high");
  EXPECT_TRUE(body.urls);
  EXPECT_TRUE(body.stream);
  EXPECT_EQ(body.partial_images, 2);
  ASSERT_EQ(body.notes.size(), 2U);
  EXPECT_EQ(body.notes[0], "background 'transparent' was ignored: pictures are opaque");
}

TEST(ImagesBody, TakesFieldsOfRequestsToo) {
  const ImagesBody body = read(
      R"({"prompt": "a", "quality": "low", "steps": 5, "seed": 9, "cfg_scale": 3, "negative_prompt": "b",
          "sampler_name": "Euler", "n": null, "size": null})");
  EXPECT_EQ(body.submission.request.steps, 5);
  EXPECT_EQ(body.submission.request.seed, 9);
  EXPECT_EQ(body.submission.request.sampler, "Euler");
  EXPECT_EQ(body.submission.request.batch_count, 1);
}

TEST(ImagesBody, GivesUrlsWhereOpenAiDoes) {
  EXPECT_TRUE(read(R"({"prompt": "a", "model": "dall-e-3"})").urls);
  EXPECT_FALSE(read(R"({"prompt": "a", "model": "dall-e-3", "response_format": "b64_json"})").urls);
  EXPECT_FALSE(read(R"({"prompt": "a", "model": "gpt-image-1.5"})").urls);
}

TEST(ImagesBody, KeepsTheNamesOfOurModels) {
  EXPECT_EQ(read(R"({"prompt": "a", "model": "emoji-128"})").submission.request.model, "emoji-128");
  for (const char* name :
       {"gpt-image-1", "GPT-Image-2", "dall-e-2", "dall-e-3", "chatgpt-image-latest"}) {
    EXPECT_TRUE(is_openai_model(name)) << name;
  }
  for (const char* name : {"", "gpt-4", "emoji-128", "dall"})
    EXPECT_FALSE(is_openai_model(name)) << name;
}

TEST(ImagesBody, NamesTheFieldThatIsWrong) {
  const std::pair<const char*, const char*> faults[] = {
      {R"({})", "prompt"},
      {R"({"prompt": ""})", "prompt"},
      {R"({"prompt": ["a"]})", "prompt"},
      {R"({"prompt": "a", "n": 0})", "n"},
      {R"({"prompt": "a", "n": 11})", "n"},
      {R"({"prompt": "a", "n": "2"})", "n"},
      {R"({"prompt": "a", "size": "big"})", "size"},
      {R"({"prompt": "a", "size": "512"})", "size"},
      {R"({"prompt": "a", "size": "512x"})", "size"},
      {R"({"prompt": "a", "size": "512x513"})", "size"},
      {R"({"prompt": "a", "size": "-8x8"})", "size"},
      {R"({"prompt": "a", "size": "8192x8192"})", "size"},
      {R"({"prompt": "a", "size": "99999999999999999999x8"})", "size"},
      {R"({"prompt": "a", "quality": "best"})", "quality"},
      {R"({"prompt": "a", "output_format": "gif"})", "output_format"},
      {R"({"prompt": "a", "output_compression": 101})", "output_compression"},
      {R"({"prompt": "a", "partial_images": 4})", "partial_images"},
      {R"({"prompt": "a", "stream": "yes"})", "stream"},
      {R"({"prompt": "a", "steps": 0})", "steps"},
      {R"("a")", ""},
  };
  for (const auto& [text, field] : faults) EXPECT_EQ(wrong_field(text), field) << text;
}

TEST(ImagesBody, NotesWhatItDoesNotKnow) {
  const ImagesBody body = read(R"({"prompt": "a", "qualty": "low"})");
  ASSERT_EQ(body.notes.size(), 1U);
  EXPECT_NE(body.notes[0].find("did you mean 'quality'?"), std::string::npos);
}

jobs::Job finished() {
  jobs::Job job;
  job.id = "01H";
  job.state = jobs::State::kSucceeded;
  job.finished = 7'500;
  job.results = {{.index = 0, .width = 64, .height = 32, .seed = 5}};
  return job;
}

TEST(ImagesReply, HasOpenAisShape) {
  ImagesBody body;
  body.notes = {"note"};
  const json::object answer = images_json(body, finished(), {{.b64_json = "QUJD"}});
  EXPECT_EQ(
      json::serialize(answer),
      R"({"created":7,"data":[{"b64_json":"QUJD","seed":5}],"background":"opaque",)"
      R"("output_format":"png","quality":"medium","size":"64x32",)"
      R"("usage":{"input_tokens":0,"input_tokens_details":{"image_tokens":0,"text_tokens":0},)"
      R"("output_tokens":0,"total_tokens":0},"safelight":{"job":"01H","notes":["note"]}})");
}

json::object data_of(const std::string& event, std::string_view type) {
  const std::string head = "event: " + std::string(type) + "\ndata: ";
  EXPECT_TRUE(event.starts_with(head)) << event;
  EXPECT_TRUE(event.ends_with("\n\n"));
  return parse_json(event.substr(head.size())).value().as_object();
}

TEST(ImagesEvents, HaveOpenAisShape) {
  const json::object partial =
      data_of(partial_image_event({}, 1, "\xff"), "image_generation.partial_image");
  for (const char* key : {"type", "b64_json", "created_at", "size", "quality", "background",
                          "output_format", "partial_image_index"}) {
    EXPECT_TRUE(partial.contains(key)) << key;
  }
  EXPECT_EQ(partial.at("partial_image_index"), 1);
  const jobs::Job job = finished();
  const json::object completed = data_of(
      completed_event({}, job, job.results[0], {.b64_json = "QUJD"}), "image_generation.completed");
  for (const char* key : {"type", "b64_json", "created_at", "size", "quality", "background",
                          "output_format", "usage"}) {
    EXPECT_TRUE(completed.contains(key)) << key;
  }
  const json::object error = data_of(error_event({.message = "m", .type = "t"}), "error");
  EXPECT_EQ(error.at("error").at("message"), "m");
}

TEST(ApiErrors, TellClientsWhetherToTryAgain) {
  const ApiError busy = api_error(Error{ErrorCode::kBusy, "full"});
  EXPECT_EQ(busy.status, 429);
  EXPECT_EQ(busy.type, "rate_limit_error");
  EXPECT_TRUE(busy.retry);
  const ApiError wrong = api_error(Error{ErrorCode::kInvalidArgument, "n is 0"}, "n");
  EXPECT_EQ(
      json::serialize(wrong.json()),
      R"({"error":{"message":"n is 0","type":"invalid_request_error","param":"n","code":"invalid_value"}})");
}

TEST(ApiErrors, TellHowAJobEnded) {
  jobs::Job job = finished();
  job.state = jobs::State::kRefused;
  job.error = jobs::JobError{ErrorCode::kRefused, "words"};
  ApiError error = api_error(job);
  EXPECT_EQ(error.status, 400);
  EXPECT_EQ(error.code, "moderation_blocked");
  EXPECT_EQ(error.message, "words (job 01H)");
  EXPECT_FALSE(error.retry);
  job.state = jobs::State::kFailed;
  job.error = jobs::JobError{ErrorCode::kOutOfMemory, "9 GB"};
  error = api_error(job);
  EXPECT_EQ(error.status, 507);
  EXPECT_FALSE(error.retry);
  job.state = jobs::State::kCancelled;
  job.error.reset();
  EXPECT_EQ(api_error(job).message, "The job was cancelled. (job 01H)");
}

TEST(FileToken, LeadsToItsFileUntilItExpires) {
  const std::string token = make_file_token("key", {"01H", 3, 10'000});
  const auto link = read_file_token("key", token, 9'999);
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_EQ(link->job, "01H");
  EXPECT_EQ(link->index, 3);
  EXPECT_EQ(read_file_token("key", token, 10'000).error().code, ErrorCode::kForbidden);
}

TEST(FileToken, IsOfItsKeyAlone) {
  const std::string token = make_file_token("key", {"01H", 3, 10'000});
  EXPECT_EQ(read_file_token("other", token, 0).error().code, ErrorCode::kNotFound);
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_FALSE(read_file_token("key", changed, 0)) << i;
  }
  for (const char* other : {"", "-", "---", "01H-3-10", "a-b-c-d"}) {
    EXPECT_FALSE(read_file_token("key", other, 0)) << other;
  }
}

}  // namespace
}  // namespace safelight::api::openai
