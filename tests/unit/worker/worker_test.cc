// A whole worker on its channel, drawing with the shipped model.
#include "worker/worker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "base/hash.h"
#include "image/codec.h"
#include "image/metadata.h"
#include "jobs/messages.h"

namespace safelight::worker {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using jobs::Message;

Result<studio::ModelFile> shipped(const std::string& name) {
  if (!name.empty() && name != "emoji-128") return Error{ErrorCode::kNotFound, "no model " + name};
  return studio::ModelFile{
      std::string(SAFELIGHT_SOURCE_DIR) + "/models/emoji-128/emoji-128.safetensors", "emoji-128",
      "9c380764f7", "9c380764f79defd0055ff6de14fc95b2a02c9b6ed6c7f9650b0db5e7a928db2d"};
}

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    channel_ = std::make_unique<jobs::MessageChannel>(pair[0]);
    thread_ = std::thread([fd = pair[1]] {
      EXPECT_TRUE(run_worker(fd, {.engine_options = {.precision = engine::Precision::kF32},
                                  .find_model = shipped,
                                  .version = "Safelight test"})
                      .ok());
    });
    EXPECT_EQ(next().kind(), "ready");
  }
  ~WorkerTest() override {
    channel_->shut_down();
    thread_.join();
  }

  void send(json::object head) { ASSERT_TRUE(channel_->send({std::move(head), {}}).ok()); }
  Message next() {
    auto message = channel_->receive();
    EXPECT_TRUE(message.ok()) << message.error().message;
    return message.ok() ? std::move(*message) : Message{{{"kind", "gone"}}, {}};
  }
  /// Messages up to the one of that kind; the last one is it.
  std::vector<Message> until(const std::string& kind) {
    std::vector<Message> messages{next()};
    while (messages.back().kind() != kind && messages.back().kind() != "gone")
      messages.push_back(next());
    return messages;
  }

  void run(request::Request request, jobs::Delivery delivery = {}, const char* model = "") {
    send({{"kind", "run"},
          {"job", "J1"},
          {"attempt", 1},
          {"request", request::to_json(request)},
          {"delivery", jobs::to_json(delivery)},
          {"model_sha256", model}});
  }
  void cancel(const char* mode, int attempt = 1) {
    send({{"kind", "cancel"}, {"job", "J1"}, {"attempt", attempt}, {"mode", mode}});
  }

  static request::Request apple(int64_t steps = 3) {
    request::Request request;
    request.prompt = "red apple";
    request.seed = 5;
    request.steps = steps;
    request.width = request.height = 128;
    request.model = "emoji-128";
    return request;
  }

  static std::vector<Message> of_kind(const std::vector<Message>& messages,
                                      const std::string& kind) {
    std::vector<Message> found;
    for (const Message& message : messages) {
      if (message.kind() == kind) found.push_back(message);
    }
    return found;
  }
  static std::string error_of(const Message& ended) {
    const json::value* error = ended.head.if_contains("error");
    if (!error) return "";
    return std::string(error->at("code").as_string()) + ": " +
           std::string(error->at("message").as_string());
  }

 private:
  std::unique_ptr<jobs::MessageChannel> channel_;
  std::thread thread_;
};

TEST_F(WorkerTest, DrawsAndTellsHowFarItIs) {
  request::Request request = apple();
  request.batch_count = 2;
  run(request, {.format = "webp", .quality = 95});
  const auto messages = until("ended");
  EXPECT_EQ(messages.back().head.at("state").as_string(), "succeeded");
  EXPECT_GT(messages.back().head.at("seconds").as_double(), 0);
  ASSERT_EQ(of_kind(messages, "started").size(), 1U);
  EXPECT_GT(of_kind(messages, "started")[0].head.at("load_seconds").as_double(), 0);
  const auto progress = of_kind(messages, "progress");
  ASSERT_EQ(progress.size(), 8U);
  EXPECT_EQ(progress.back().head.at("batch").as_int64(), 1);
  EXPECT_EQ(progress.back().head.at("step").as_int64(), 3);
  const auto pictures = of_kind(messages, "picture");
  ASSERT_EQ(pictures.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const auto file = jobs::result_file_from_json(pictures[i].head.at("file"));
    ASSERT_TRUE(file.ok());
    const Bytes bytes = std::as_bytes(std::span(pictures[i].bytes));
    EXPECT_EQ(file->index, static_cast<int64_t>(i));
    EXPECT_EQ(file->sha256, sha256(bytes));
    EXPECT_EQ(file->bytes, bytes.size());
    EXPECT_EQ(file->media_type, "image/webp");
    EXPECT_EQ(file->seed, 5 + static_cast<int64_t>(i));
    EXPECT_EQ(file->width, 128);
    EXPECT_EQ(image::read_parameters(bytes)->value(), file->infotext);
  }
  const auto loaded = of_kind(messages, "loaded");
  ASSERT_FALSE(loaded.empty());
  EXPECT_EQ(loaded[0].head.at("current").as_string(), "emoji-128");
}

TEST_F(WorkerTest, WithoutMetadataTheFileHasNoText) {
  run(apple(), {.format = "png", .metadata = false});
  const auto pictures = of_kind(until("ended"), "picture");
  ASSERT_EQ(pictures.size(), 1U);
  EXPECT_FALSE(image::read_parameters(std::as_bytes(std::span(pictures[0].bytes)))->has_value());
  EXPECT_FALSE(jobs::result_file_from_json(pictures[0].head.at("file"))->infotext.empty());
}

TEST_F(WorkerTest, SaysWhatIsWrongAndGoesOn) {
  const auto fault = [&] { return error_of(until("ended").back()); };
  request::Request request = apple();
  request.model = "other";
  run(request);
  EXPECT_EQ(fault(), "not_found: no model other");
  run(apple(), {}, "abc");
  EXPECT_NE(fault().find("conflict: model 'emoji-128' has SHA-256 9c38"), std::string::npos);
  run(apple(), {.format = "bmp"});
  EXPECT_EQ(fault().substr(0, 16), "invalid_argument");
  send({{"kind", "run"},
        {"job", "J1"},
        {"attempt", 1},
        {"request", {{"stepz", 1}}},
        {"delivery", json::object()}});
  EXPECT_EQ(fault().substr(0, 16), "invalid_argument");
  run(apple());
  EXPECT_EQ(fault(), "");
}

TEST_F(WorkerTest, ACancelActsWithinAQuarterSecond) {
  run(apple(1000));
  until("progress");
  cancel("drop", 7);  // of another attempt
  for (int i = 0; i < 5; ++i) until("progress");
  const auto begin = Clock::now();
  cancel("drop");
  const auto messages = until("ended");
  EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(250));
  EXPECT_EQ(messages.back().head.at("state").as_string(), "cancelled");
  EXPECT_TRUE(of_kind(messages, "picture").empty());
}

TEST_F(WorkerTest, AJobThatWaitsIsCancelledBeforeItBegins) {
  run(apple(1000));
  send({{"kind", "run"},
        {"job", "J2"},
        {"attempt", 1},
        {"request", request::to_json(apple(1000))},
        {"delivery", json::object()}});
  send({{"kind", "cancel"}, {"job", "J2"}, {"attempt", 1}, {"mode", "drop"}});
  cancel("drop");
  EXPECT_EQ(until("ended").back().head.at("job").as_string(), "J1");
  EXPECT_EQ(error_of(until("ended").back()), "cancelled: cancelled before it began");
}

TEST_F(WorkerTest, AnInterruptKeepsThePictureSoFar) {
  request::Request request = apple(1000);
  request.batch_count = 3;
  run(request);
  for (int i = 0; i < 5; ++i) until("progress");
  cancel("interrupt");
  const auto messages = until("ended");
  EXPECT_EQ(messages.back().head.at("state").as_string(), "cancelled");
  const auto pictures = of_kind(messages, "picture");
  ASSERT_EQ(pictures.size(), 1U);
  EXPECT_TRUE(image::decode(std::as_bytes(std::span(pictures[0].bytes))).ok());
}

TEST_F(WorkerTest, ASkipGoesOnWithTheNextBatch) {
  request::Request request = apple(300);
  request.batch_count = 2;
  run(request);
  for (int i = 0; i < 5; ++i) until("progress");
  cancel("skip");
  const auto messages = until("ended");
  EXPECT_EQ(messages.back().head.at("state").as_string(), "succeeded");
  EXPECT_EQ(of_kind(messages, "picture").size(), 2U);
  // The second one is whole.
  EXPECT_GE(of_kind(messages, "progress").size(), 301U);
  EXPECT_LT(of_kind(messages, "progress").size(), 500U);
}

TEST_F(WorkerTest, PreviewsComeWhenTheyAreWanted) {
  run(apple(20));
  EXPECT_TRUE(of_kind(until("ended"), "preview").empty());
  run(apple(20), {.previews = true});
  const auto messages = until("ended");
  const auto previews = of_kind(messages, "preview");
  ASSERT_FALSE(previews.empty());
  const auto picture = image::decode(std::as_bytes(std::span(previews[0].bytes)));
  ASSERT_TRUE(picture.ok());
  EXPECT_EQ(picture->width, 16);
  run(apple(1000));
  until("progress");
  send({{"kind", "previews"}, {"job", "J1"}, {"wanted", true}});
  until("preview");
  cancel("drop");
  until("ended");
}

TEST_F(WorkerTest, LoadsAndUnloads) {
  send({{"kind", "load"}, {"id", 7}, {"model", "emoji-128"}});
  Message answer = until("loaded").back();
  EXPECT_EQ(answer.head.at("id").as_int64(), 7);
  EXPECT_EQ(error_of(answer), "");
  EXPECT_EQ(answer.head.at("models").as_array().size(), 1U);
  send({{"kind", "load"}, {"id", 8}, {"model", "other"}});
  EXPECT_EQ(error_of(until("loaded").back()), "not_found: no model other");
  send({{"kind", "settings"}, {"memory_budget", 1}, {"pinned", {"emoji-128"}}});
  EXPECT_TRUE(until("loaded").back().head.at("models").at(0).at("pinned").as_bool());
  send({{"kind", "unload"}, {"id", 9}, {"model", "emoji-128"}});
  EXPECT_TRUE(until("loaded").back().head.at("models").as_array().empty());
  send({{"kind", "unload"}, {"id", 10}, {"model", "emoji-128"}});
  EXPECT_EQ(error_of(until("loaded").back()), "not_found: model 'emoji-128' is not loaded");
}

}  // namespace
}  // namespace safelight::worker
