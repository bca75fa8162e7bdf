#include "app/text_guard.h"

#include <gtest/gtest.h>

#include <sstream>

namespace safelight::app {
namespace {

TEST(LineReader, GivesLinesWithoutTheirEnds) {
  std::istringstream stream("one\r\n\ntwo\nlast");
  LineReader lines(stream, "f");
  std::string line;
  for (const char* want : {"one", "", "two", "last"}) {
    const Result<bool> more = lines.next(line);
    ASSERT_TRUE(more && *more);
    EXPECT_EQ(line, want);
  }
  EXPECT_EQ(lines.number(), 4U);
  EXPECT_EQ(lines.bytes_read(), 14U);
  EXPECT_FALSE(*lines.next(line));
}

TEST(LineReader, RefusesALineThatDoesNotEnd) {
  std::istringstream stream("short\n" + std::string(LineReader::kMaxLineBytes + 1, 'a'));
  LineReader lines(stream, "stdin");
  std::string line;
  ASSERT_TRUE(*lines.next(line));
  const Result<bool> more = lines.next(line);
  ASSERT_FALSE(more.ok());
  EXPECT_NE(more.error().message.find("stdin: line 2"), std::string::npos);
}

}  // namespace
}  // namespace safelight::app
