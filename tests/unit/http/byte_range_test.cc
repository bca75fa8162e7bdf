#include "http/byte_range.h"

#include <gtest/gtest.h>

namespace safelight::http {
namespace {

using Kind = ByteRange::Kind;

std::pair<uint64_t, uint64_t> part(std::string_view header, uint64_t size) {
  const ByteRange range = parse_byte_range(header, size);
  EXPECT_EQ(range.kind, Kind::kPart) << header;
  return {range.first, range.last};
}

TEST(ByteRange, IsTheOneAskedForCutToTheBody) {
  using Pair = std::pair<uint64_t, uint64_t>;
  EXPECT_EQ(part("bytes=0-0", 10), Pair(0, 0));
  EXPECT_EQ(part("bytes=2-5", 10), Pair(2, 5));
  EXPECT_EQ(part("bytes=2-", 10), Pair(2, 9));
  EXPECT_EQ(part("bytes=2-99", 10), Pair(2, 9));
  EXPECT_EQ(part("bytes=-3", 10), Pair(7, 9));
  EXPECT_EQ(part("bytes=-99", 10), Pair(0, 9));
}

TEST(ByteRange, IsTheWholeForWhatIsNoSingleRange) {
  for (const char* header :
       {"", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4",
        "bytes=1-x", "bytes=99999999999999999999-"}) {
    EXPECT_EQ(parse_byte_range(header, 10).kind, Kind::kWhole) << header;
  }
}

TEST(ByteRange, TellsWhatLiesOutside) {
  for (const char* header : {"bytes=10-", "bytes=10-20", "bytes=-0"}) {
    EXPECT_EQ(parse_byte_range(header, 10).kind, Kind::kUnsatisfiable) << header;
  }
  EXPECT_EQ(parse_byte_range("bytes=-5", 0).kind, Kind::kUnsatisfiable);
}

TEST(Etag, IsFoundInAList) {
  EXPECT_TRUE(matches_etag("\"a\"", "\"a\""));
  EXPECT_TRUE(matches_etag("\"b\", W/\"a\"", "\"a\""));
  EXPECT_TRUE(matches_etag("*", "\"a\""));
  EXPECT_FALSE(matches_etag("", "\"a\""));
  EXPECT_FALSE(matches_etag("a", "\"a\""));
  EXPECT_FALSE(matches_etag("\"ab\"", "\"a\""));
}

}  // namespace
}  // namespace safelight::http
