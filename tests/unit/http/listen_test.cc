#include "http/listen.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "live_server.h"

namespace safelight::http {
namespace {

std::string error_of(const std::string& address, uint16_t port) {
  boost::asio::io_context context;
  const Result<Acceptors> acceptors = listen_on(context, address, port);
  return acceptors ? "" : acceptors.error().message;
}

TEST(Listen, PortZeroPicksOne) {
  boost::asio::io_context context;
  const Result<Acceptors> acceptors = listen_on(context, "127.0.0.1", 0);
  ASSERT_TRUE(acceptors);
  const auto endpoint = acceptors->front().local_endpoint();
  EXPECT_NE(endpoint.port(), 0);
  EXPECT_EQ(url_of(endpoint, true), "https://127.0.0.1:" + std::to_string(endpoint.port()));
}

TEST(Listen, ErrorsNameCauseAndRemedy) {
  boost::asio::io_context context;
  const Result<Acceptors> first = listen_on(context, "127.0.0.1", 0);
  ASSERT_TRUE(first);
  const uint16_t port = first->front().local_endpoint().port();
  const std::string used = error_of("127.0.0.1", port);
  EXPECT_NE(used.find("127.0.0.1 port " + std::to_string(port)), std::string::npos) << used;
  EXPECT_NE(used.find("in use"), std::string::npos) << used;
  EXPECT_NE(used.find("--port"), std::string::npos) << used;
  const std::string foreign = error_of("192.0.2.1", 0);
  EXPECT_NE(foreign.find("does not have the address"), std::string::npos) << foreign;
  const std::string unknown = error_of("no such name", 0);
  EXPECT_NE(unknown.find("no address"), std::string::npos) << unknown;
}

TEST(Listen, SystemdsSocketsAreTakenOnce) {
  boost::asio::io_context context;
  ASSERT_TRUE(passed_sockets(context)->empty());
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", "1", 1);
  EXPECT_TRUE(passed_sockets(context)->empty()) << "they are for another process";

  const Result<Acceptors> own = listen_on(context, "127.0.0.1", 0);
  ASSERT_TRUE(own);
  const int saved = ::dup(3);
  ASSERT_EQ(::dup2(const_cast<Acceptors&>(*own).front().native_handle(), 3), 3);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  {
    const Result<Acceptors> passed = passed_sockets(context);
    ASSERT_TRUE(passed) << passed.error().message;
    ASSERT_EQ(passed->size(), 1U);
    EXPECT_EQ(passed->front().local_endpoint(), own->front().local_endpoint());
    EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
    EXPECT_TRUE(passed_sockets(context)->empty());
  }
  ASSERT_EQ(::dup2(STDERR_FILENO, 3), 3);
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_FALSE(passed_sockets(context)) << "stderr is no socket";
  if (saved >= 0) {
    ::dup2(saved, 3);
    ::close(saved);
  }
}

TEST(Listen, TheLimitOfOpenFilesIsRaised) {
  const uint64_t limit = raise_open_file_limit();
  EXPECT_GT(limit, 0U);
  EXPECT_EQ(raise_open_file_limit(), limit);
}

}  // namespace
}  // namespace safelight::http
