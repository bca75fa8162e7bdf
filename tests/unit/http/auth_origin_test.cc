#include <gtest/gtest.h>

#include "http/auth/origin_policy.h"

namespace safelight::http {
namespace {

const OriginPolicy kPolicy{AuthSettings{.allowed_hosts = {"pictures.example", "Lab.Example:8443"},
                                        .cors_origins = {"https://app.example/"}}};

int status(const RequestSource& source) {
  const auto fault = kPolicy.check(source);
  return fault ? fault->status : 200;
}

TEST(Origin, KnowsItsOwnNames) {
  for (const char* host :
       {"localhost", "localhost:7860", "LOCALHOST", "localhost.", "127.0.0.1:7860", "[::1]:7860",
        "[::1]", "192.168.1.5:7860", "pictures.example", "pictures.example:443", "lab.example"})
    EXPECT_EQ(status({.host = host}), 200) << host;
}

TEST(Origin, SendsReboundNamesAway) {
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                           "evil.example:7860", "sub.pictures.example", "127.0.0.1, evil.example",
                           "evil.example, 127.0.0.1", "127.0.0.1:7860@evil.example", "[::1",
                           "[::1]evil", "127.0.0.1:x", ":7860", "[evil.example]", "2130706433"})
    EXPECT_EQ(status({.host = host}), 421) << host;
  EXPECT_NE(kPolicy.check({.host = "lab2:7860"})->message.find("--allowed-hosts lab2"),
            std::string::npos);
}

TEST(Origin, PagesOfOursMayDoAnything) {
  for (const bool changes : {false, true}) {
    for (const bool socket : {false, true}) {
      const auto from = [&](const char* host, const char* origin) {
        return status({.host = host,
                       .origin = origin,
                       .site = "same-origin",
                       .changes = changes,
                       .socket = socket});
      };
      EXPECT_EQ(from("127.0.0.1:7860", "http://127.0.0.1:7860"), 200);
      EXPECT_EQ(from("localhost:7860", "http://LOCALHOST:7860"), 200);
      EXPECT_EQ(from("[::1]:7860", "http://[::1]:7860"), 200);
      EXPECT_EQ(from("pictures.example", "https://pictures.example"), 200);
      EXPECT_EQ(from("pictures.example:443", "https://pictures.example"), 200);
      EXPECT_EQ(from("127.0.0.1:7860", "https://app.example"), 200) << "it is in the CORS list";
    }
  }
}

TEST(Origin, PagesElsewhereMayNot) {
  for (const char* origin :
       {"http://evil.example", "http://127.0.0.1:3000", "http://127.0.0.1", "http://localhost:7860",
        "null", "file://", "http://127.0.0.1:7860.evil.example", "https://app.example.evil",
        "https://app.example:8443", "http://app.example", "127.0.0.1:7860", "http://",
        "chrome-extension://127.0.0.1:7860"}) {
    EXPECT_EQ(status({.host = "127.0.0.1:7860", .origin = origin}), 403) << origin;
    EXPECT_EQ(status({.host = "127.0.0.1:7860", .origin = origin, .changes = true}), 403) << origin;
    EXPECT_EQ(status({.host = "127.0.0.1:7860", .origin = origin, .socket = true}), 403) << origin;
  }
}

TEST(Origin, CrossSiteRequestsChangeNothing) {
  const RequestSource look{.host = "127.0.0.1:7860", .site = "cross-site"};
  EXPECT_EQ(status(look), 200) << "a link from elsewhere";
  RequestSource change = look, socket = look, listed = look;
  change.changes = true;
  socket.socket = true;
  listed.changes = true;
  listed.origin = "https://app.example";
  EXPECT_EQ(status(change), 403);
  EXPECT_EQ(status(socket), 403);
  EXPECT_EQ(status(listed), 200);
}

TEST(Origin, ProgramsSendNone) {
  EXPECT_EQ(status({.host = "127.0.0.1:7860", .changes = true}), 200);
  EXPECT_EQ(status({.host = "127.0.0.1:7860", .socket = true}), 200);
}

TEST(Origin, OnlyThreeMethodsChangeNothing) {
  for (const char* method : {"GET", "HEAD", "OPTIONS"}) EXPECT_FALSE(changes_state(method));
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "BREW"})
    EXPECT_TRUE(changes_state(method)) << method;
}

}  // namespace
}  // namespace safelight::http
