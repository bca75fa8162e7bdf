#include "http/routes/openai.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>

#include "api/openai/file_token.h"
#include "base/base64.h"
#include "unit/http/route_world.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

struct OpenAiRoutes : ::testing::Test {
  RouteWorld world;
  OpenAiRoutes() { add_openai_routes(world.router, world.backend); }

  Awaitable<void> draw(std::vector<std::string> pictures) {
    co_await pause(milliseconds(10));
    const jobs::Lease lease = world.start();
    co_await pause(milliseconds(10));
    world.finish(lease, pictures);
  }
  Awaitable<void> end(jobs::Outcome outcome) {
    co_await pause(milliseconds(10));
    world.end(world.start(), std::move(outcome));
  }
  static FakeExchange asking(std::string body) {
    FakeExchange exchange("POST", "/v1/images/generations");
    exchange.with_body(std::move(body));
    return exchange;
  }
};

TEST_F(OpenAiRoutes, APictureComesAsBase64) {
  FakeExchange exchange = asking(R"({"prompt": "a cat", "model": "gpt-image-1", "n": 2})");
  const Reply reply = world.call_while(exchange, draw({"one", "two"}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = body_of(reply);
  ASSERT_EQ(answer.at("data").as_array().size(), 2U);
  EXPECT_EQ(answer.at("data").at(0).at("b64_json"), json::value(base64_encode("one")));
  EXPECT_EQ(answer.at("data").at(1).at("seed"), 8);
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 0);
  const std::string id(answer.at("safelight").at("job").as_string());
  EXPECT_EQ(world.store->find(id)->asked.request.batch_count, 2);
  EXPECT_EQ(world.store->find(id)->asked.source, "openai");
}

TEST_F(OpenAiRoutes, AUrlLeadsToThePictureWithoutCredentialsUntilItExpires) {
  FakeExchange exchange = asking(R"({"prompt": "a cat", "response_format": "url"})");
  const json::object answer = body_of(world.call_while(exchange, draw({"picture"})));
  const std::string url(answer.at("data").at(0).at("url").as_string());
  const std::string base = "http://127.0.0.1:7860";
  ASSERT_TRUE(url.starts_with(base + "/files/")) << url;
  FakeExchange nobody("GET", url.substr(base.size()));
  const Reply file = world.call(nobody.as({.name = "", .role = api::Role::kViewer}));
  EXPECT_EQ(file.body, "picture");
  EXPECT_EQ(file.content_type, "image/png");
  const Router::Match route = world.router.find("GET", "/files/x");
  EXPECT_EQ(route.route->options.access, Access::kOpen);
  const std::string id(answer.at("safelight").at("job").as_string());
  const std::string old = api::openai::make_file_token("key", {id, 0, jobs::now() - 1000});
  EXPECT_EQ(world.get("/files/" + old).status, 403);
  const std::string forged = api::openai::make_file_token("other", {id, 0, jobs::now() + 99'000});
  EXPECT_EQ(world.get("/files/" + forged).status, 404);
}

TEST_F(OpenAiRoutes, AWrongParameterIsNamed) {
  FakeExchange exchange = asking(R"({"prompt": "a", "size": "100x100"})");
  const Reply reply = world.call(exchange);
  EXPECT_EQ(reply.status, 400);
  const json::object error = body_of(reply).at("error").as_object();
  EXPECT_EQ(error.at("type"), "invalid_request_error");
  EXPECT_EQ(error.at("param"), "size");
  EXPECT_EQ(error.at("code"), "invalid_value");
}

TEST_F(OpenAiRoutes, AModelOfNobodyIsNotFound) {
  FakeExchange exchange = asking(R"({"prompt": "a", "model": "nobody"})");
  const Reply reply = world.call(exchange);
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(body_of(reply).at("error").at("code"), "model_not_found");
  EXPECT_EQ(body_of(reply).at("error").at("param"), "model");
}

TEST_F(OpenAiRoutes, OpenAisNamesMeanTheModelThatIsLoaded) {
  world.workers.workers[0].current_model = "dream";
  FakeExchange exchange = asking(R"({"prompt": "a", "model": "dall-e-3"})");
  const json::object answer = body_of(world.call_while(exchange, draw({"x"})));
  const std::string id(answer.at("safelight").at("job").as_string());
  EXPECT_EQ(world.store->find(id)->asked.request.model, "dream");
}

TEST_F(OpenAiRoutes, ARefusalIsNotToBeTriedAgain) {
  FakeExchange exchange = asking(R"({"prompt": "a"})");
  const Reply reply =
      world.call_while(exchange, end({.state = jobs::State::kRefused,
                                      .error = jobs::JobError{ErrorCode::kRefused, "not that"}}));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(header_of(reply, "x-should-retry"), "false");
  EXPECT_EQ(body_of(reply).at("error").at("code"), "moderation_blocked");
}

TEST_F(OpenAiRoutes, AFailureTellsItsReason) {
  FakeExchange exchange = asking(R"({"prompt": "a"})");
  const Reply reply =
      world.call_while(exchange, end({.state = jobs::State::kFailed,
                                      .error = jobs::JobError{ErrorCode::kOutOfMemory, "9 GB"}}));
  EXPECT_EQ(reply.status, 507);
  EXPECT_EQ(header_of(reply, "x-should-retry"), "false");
  EXPECT_NE(body_of(reply).at("error").at("message").as_string().find("9 GB"), json::string::npos);
}

TEST_F(OpenAiRoutes, TheSameIdempotencyKeyIsTheSamePicture) {
  FakeExchange first = asking(R"({"prompt": "a"})");
  first.with_header("Idempotency-Key", "k");
  const json::object one = body_of(world.call_while(first, draw({"x"})));
  FakeExchange second = asking(R"({"prompt": "a"})");
  second.with_header("Idempotency-Key", "k");
  const json::object two = body_of(world.call(second));
  EXPECT_EQ(one.at("safelight").at("job"), two.at("safelight").at("job"));
}

struct SentEvent {
  std::string type;
  json::object data;
};

std::vector<SentEvent> events_of(const FakeExchange& exchange) {
  std::string text;
  for (const std::string& part : exchange.parts) text += part;
  std::vector<SentEvent> events;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find("\n\n", begin);
    const std::string block = text.substr(begin, end - begin);
    begin = end + 2;
    if (block.starts_with(":")) continue;
    const size_t line = block.find('\n');
    events.push_back(
        {block.substr(7, line - 7), parse_json(block.substr(line + 7)).value().as_object()});
  }
  return events;
}

TEST_F(OpenAiRoutes, AStreamSendsPartialImagesAndThenThePicture) {
  FakeExchange exchange = asking(R"({"prompt": "a", "stream": true, "partial_images": 2})");
  const auto meanwhile = [&]() -> Awaitable<void> {
    co_await pause(milliseconds(10));
    const jobs::Lease lease = world.start();
    for (const int step : {1, 4, 5, 7, 8}) {
      world.progress(lease.job, step, 10);
      world.preview(lease.job);
    }
    co_await pause(milliseconds(10));
    world.finish(lease, {"picture"});
  };
  world.call_while(exchange, meanwhile());
  ASSERT_TRUE(exchange.streamed);
  EXPECT_EQ(exchange.streamed->content_type, "text/event-stream");
  const auto events = events_of(exchange);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].type, "image_generation.partial_image");
  EXPECT_EQ(events[0].data.at("partial_image_index"), 0);
  EXPECT_EQ(events[0].data.at("b64_json"), json::value(base64_encode("jpeg")));
  EXPECT_EQ(events[1].data.at("partial_image_index"), 1);
  EXPECT_EQ(events[2].type, "image_generation.completed");
  EXPECT_EQ(events[2].data.at("b64_json"), json::value(base64_encode("picture")));
}

TEST_F(OpenAiRoutes, AStreamTellsAFailure) {
  FakeExchange exchange = asking(R"({"prompt": "a", "stream": true})");
  world.call_while(exchange, end({.state = jobs::State::kFailed,
                                  .error = jobs::JobError{ErrorCode::kInternal, "broken"}}));
  const auto events = events_of(exchange);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].type, "error");
  EXPECT_NE(events[0].data.at("error").at("message").as_string().find("broken"),
            json::string::npos);
}

TEST_F(OpenAiRoutes, AWrongStreamIsRefusedBeforeItBegins) {
  FakeExchange exchange = asking(R"({"prompt": "a", "stream": true, "n": 99})");
  EXPECT_EQ(world.call(exchange).status, 400);
  EXPECT_FALSE(exchange.streamed);
}

TEST_F(OpenAiRoutes, ListsModels) {
  const json::object list = body_of(world.get("/v1/models"));
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data").at(0).at("id"), "emoji-128");
  EXPECT_EQ(body_of(world.get("/v1/models/emoji-128")).at("object"), "model");
  EXPECT_EQ(body_of(world.get("/v1/models/gpt-image-1")).at("id"), "gpt-image-1");
  const Reply none = world.get("/v1/models/nobody");
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(body_of(none).at("error").at("code"), "model_not_found");
}

}  // namespace
}  // namespace safelight::http
