#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/descriptor.h"
#include "jobs/messages.h"

namespace safelight::jobs {
namespace {

struct Ends {
  Ends() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    near = pair[0];
    far = pair[1];
  }
  int near, far;
};

/// What a receiver makes of these bytes, sent a few at a time, and the end of the stream.
Result<Message> received(const std::string& bytes, size_t piece = 3) {
  const Ends ends;
  MessageChannel channel(ends.near);
  std::thread sender([&] {
    const Descriptor far(ends.far);
    for (size_t i = 0; i < bytes.size(); i += piece) {
      const size_t size = std::min(piece, bytes.size() - i);
      if (::send(far.get(), bytes.data() + i, size, MSG_NOSIGNAL) < 0) break;
    }
  });
  auto message = channel.receive();
  sender.join();
  return message;
}

std::string framed(const std::string& head, const std::string& blob = "") {
  const auto length = [](size_t size) {
    return std::string{static_cast<char>(size & 0xff), static_cast<char>(size >> 8), 0, 0};
  };
  return length(head.size()) + length(blob.size()) + head + blob;
}

TEST(MessageChannel, CarriesHeadsAndBytesBothWays) {
  const Ends ends;
  MessageChannel near(ends.near), far(ends.far);
  const std::string blob = std::string("\0\1\2", 3) + std::string(5'000'000, 'x');
  std::thread answerer([&] {
    auto got = far.receive();
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(got->kind(), "picture");
    got->head["kind"] = "answer";
    EXPECT_TRUE(far.send(*got).ok());
  });
  ASSERT_TRUE(near.send({{{"kind", "picture"}, {"n", 7}}, blob}).ok());
  const auto answer = near.receive();
  answerer.join();
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->kind(), "answer");
  EXPECT_EQ(answer->head.at("n").as_int64(), 7);
  EXPECT_EQ(answer->bytes, blob);
}

TEST(MessageChannel, ManyMaySend) {
  const Ends ends;
  MessageChannel near(ends.near), far(ends.far);
  std::vector<std::thread> senders;
  for (int t = 0; t < 4; ++t)
    senders.emplace_back([&near] {
      for (int i = 0; i < 200; ++i)
        EXPECT_TRUE(near.send({{{"kind", "n"}}, std::string(static_cast<size_t>(i), 'y')}).ok());
    });
  size_t bytes = 0;
  for (int i = 0; i < 800; ++i) {
    const auto got = far.receive();
    ASSERT_TRUE(got.ok()) << got.error().message;
    bytes += got->bytes.size();
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(bytes, 4U * 199 * 200 / 2);
}

TEST(MessageChannel, RefusesWhatTheProtocolDoesNotAllow) {
  const auto fault = [](const std::string& bytes) {
    const auto got = received(bytes);
    return got.ok() ? "" : got.error().message;
  };
  EXPECT_EQ(fault(framed(R"({"kind": "x"})", "abc")), "");
  EXPECT_EQ(fault(""), "closed");
  EXPECT_EQ(fault("\1\2"), "closed within a message");
  EXPECT_EQ(fault(framed(R"({"kind": "x"})").substr(0, 12)), "closed within a message");
  EXPECT_EQ(fault(framed(R"({"kind": )")).substr(0, 16), "a message's head");
  EXPECT_EQ(fault(framed("[1]")), "a message's head is no object with a 'kind'");
  EXPECT_EQ(fault(framed(R"({"kind": 3})")), "a message's head is no object with a 'kind'");
  EXPECT_NE(fault("\xff\xff\xff\xff....").find("was announced"), std::string::npos);
  // What is announced but never comes takes no memory.
  EXPECT_EQ(fault(std::string("\0\0\0\0\0\0\0\x40", 8)), "closed");
}

TEST(MessageChannel, TheOtherSideGoesWithoutASignal) {
  const Ends ends;
  MessageChannel near(ends.near);
  ::close(ends.far);
  const Status sent = near.send({{{"kind", "x"}}, {}});
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, ErrorCode::kIo);
  EXPECT_EQ(near.receive().error().message, "closed");
}

TEST(MessageChannel, ShutDownEndsAReceiver) {
  const Ends ends;
  const Descriptor far(ends.far);
  MessageChannel near(ends.near);
  std::thread receiver([&] { EXPECT_EQ(near.receive().error().code, ErrorCode::kIo); });
  near.shut_down();
  receiver.join();
}

}  // namespace
}  // namespace safelight::jobs
