#include "http/target.h"

#include <gtest/gtest.h>

namespace safelight::http {
namespace {

std::string path_of(std::string_view raw) {
  const Result<Target> target = parse_target(raw);
  return target ? target->path : "error: " + target.error().message;
}

std::string query_of(std::string_view raw) {
  const Result<Pairs> pairs = parse_query(raw);
  if (!pairs) return "error";
  std::string text;
  for (const auto& [name, value] : *pairs) text += "<" + name + "=" + value + ">";
  return text;
}

TEST(Target, IsDecodedOnce) {
  EXPECT_EQ(path_of("/"), "/");
  EXPECT_EQ(path_of("/a%20b/c"), "/a b/c");
  EXPECT_EQ(path_of("/a%2520b"), "/a%20b");
  EXPECT_EQ(path_of("/a+b"), "/a+b");
  EXPECT_EQ(path_of("/%C3%A4?x"), "/\xC3\xA4");
  EXPECT_EQ(path_of("/a//b/"), "/a//b/");
  EXPECT_EQ(path_of("*"), "*");
}

TEST(Target, NothingLeavesItsFolder) {
  for (std::string_view raw : {"/..",
                               "/../etc/passwd",
                               "/a/../b",
                               "/a/..",
                               "/%2e%2e/b",
                               "/.%2E/b",
                               "/a/./b",
                               "/%2e",
                               "/a%2Fb",
                               "/a%2f..%2fb",
                               "/a%5Cb",
                               "/a\\..\\b",
                               "/a%00b",
                               "/a%0d%0ab",
                               "/a%7F",
                               "/%FF",
                               "/%C0%AE%C0%AE/",
                               "/a%",
                               "/a%4",
                               "/a%zz",
                               "/a#b",
                               "a",
                               "",
                               "//..",
                               "http:///a",
                               "http://user:pw@host/a",
                               "ftp://host/",
                               "host:80"}) {
    EXPECT_TRUE(path_of(raw).starts_with("error: ")) << raw;
  }
  EXPECT_EQ(path_of("/a..b/...c"), "/a..b/...c");
}

TEST(Target, AbsoluteFormNamesTheHost) {
  const Result<Target> target = parse_target("http://example.org:81/a?b=1");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a");
  EXPECT_EQ(target->authority, "example.org:81");
  EXPECT_EQ(target->query, (Pairs{{"b", "1"}}));
  EXPECT_EQ(path_of("HTTPS://h"), "/");
  EXPECT_EQ(path_of("http://h?x=1"), "/");
}

TEST(Target, QueriesAreDecoded) {
  EXPECT_EQ(query_of(""), "");
  EXPECT_EQ(query_of("a=1&b=x+y%2Bz&c&=d&&e="), "<a=1><b=x y+z><c=><=d><e=>");
  EXPECT_EQ(query_of("a=b=c"), "<a=b=c>");
  EXPECT_EQ(query_of("a=%"), "error");
  EXPECT_EQ(query_of("a=%FF"), "error");
  std::string many;
  for (int i = 0; i < 256; ++i) many += "a&";
  EXPECT_NE(query_of(many), "error");
  EXPECT_EQ(query_of(many + "a"), "error");
}

TEST(Target, EncodingIsUndone) {
  const std::string text = "a/b c?\xC3\xA4%~-._";
  EXPECT_EQ(percent_encoded("a/b c"), "a%2Fb%20c");
  EXPECT_EQ(percent_encoded("a/b c", "/"), "a/b%20c");
  EXPECT_EQ(*percent_decoded(percent_encoded(text)), text);
}

}  // namespace
}  // namespace safelight::http
