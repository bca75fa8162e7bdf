#include "app/output.h"

#include <gtest/gtest.h>

#include "unit/app/support.h"

namespace safelight::app {
namespace {

std::string fault_of(OutputOptions options) {
  const Result<OutputWriter> writer = OutputWriter::prepare(std::move(options), 1);
  return writer ? "none" : writer.error().message;
}

TEST(Output, NumbersSeveralPictures) {
  EXPECT_EQ(numbered_path("a/b.png", 0, 1), "a/b.png");
  EXPECT_EQ(numbered_path("a/b.png", 0, 2), "a/b-1.png");
  EXPECT_EQ(numbered_path("a/b.png", 8, 10), "a/b-09.png");
  EXPECT_EQ(numbered_path("b.c.webp", 99, 100), "b.c-100.webp");
  EXPECT_EQ(numbered_path("b", 1, 3), "b-2");
}

TEST(Output, TheFormatFollowsTheEndingOrTheFlag) {
  const Folder folder;
  EXPECT_EQ(fault_of({.file = folder / "a.webp"}), "none");
  EXPECT_EQ(fault_of({.file = folder / "a"}), "none");
  EXPECT_EQ(fault_of({.file = folder / "a.JPG", .format = "jpeg"}), "none");
  EXPECT_EQ(fault_of({.file = folder / "a.jpg", .format = "webp"}),
            (folder / "a.jpg").string() +
                ": its ending says jpeg, but the format asked for is webp; leave one out");
  EXPECT_TRUE(fault_of({.file = folder / "a.gif"}).starts_with((folder / "a.gif").string() + ": "));
  EXPECT_NE(fault_of({.folder = folder.path(), .format = "gif"}), "none");
}

TEST(Output, ChecksQualityPatternAndPlaceBeforeWork) {
  const Folder folder;
  EXPECT_EQ(fault_of({.folder = folder.path(), .quality = 0}),
            "quality is 0; 1 to 100 is possible");
  EXPECT_NE(fault_of({.folder = folder.path(), .pattern = "[nothing]"}), "none");
  folder.put("file", "");
  EXPECT_NE(fault_of({.folder = folder / "file"}), "none");
  EXPECT_NE(fault_of({.file = folder.path()}), "none");
}

TEST(Output, PreparingLeavesNothingBehind) {
  const Folder folder;
  folder.put("there.png", "kept");
  ASSERT_EQ(fault_of({.file = folder / "there.png"}), "none");
  ASSERT_EQ(fault_of({.file = folder / "new.png"}), "none");
  EXPECT_EQ(std::filesystem::file_size(folder / "there.png"), 4U);
  EXPECT_FALSE(std::filesystem::exists(folder / "new.png"));
}

}  // namespace
}  // namespace safelight::app
