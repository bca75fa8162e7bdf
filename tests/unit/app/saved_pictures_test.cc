#include "app/saved_pictures.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "unit/app/support.h"

namespace safelight::app {
namespace {

jobs::FinishedPicture picture(int64_t seed, const std::string& data) {
  return {.file = {.media_type = "image/png", .seed = seed}, .data = data};
}

TEST(SavedPictures, NamesByPatternAndNeverReplace) {
  const Folder folder;
  SavedPictures pictures(folder.path(), [] { return std::string("[seq]-[seed]"); });
  jobs::Job job;
  ASSERT_EQ(*pictures.save(job, picture(7, "one")), folder / "00001-7.png");
  ASSERT_EQ(*pictures.save(job, picture(8, "two")), folder / "00002-8.png");

  job.asked.delivery.pattern = "same";
  ASSERT_EQ(*pictures.save(job, picture(7, "three")), folder / "same.png");
  ASSERT_EQ(*pictures.save(job, picture(7, "four")), folder / "same-2.png");
  EXPECT_EQ(*read_file(folder / "same.png"), "three");
  EXPECT_EQ(*read_file(folder / "same-2.png"), "four");
}

TEST(SavedPictures, CountGoesOnAfterARestart) {
  const Folder folder;
  folder.put("00041-old.png", "x");
  SavedPictures pictures(folder.path(), [] { return std::string("[seq]"); });
  EXPECT_EQ(*pictures.save({}, picture(1, "new")), folder / "00042.png");
}

TEST(SavedPictures, AFolderThatCannotBeWrittenIsAnError) {
  SavedPictures pictures("/proc/nowhere", [] { return std::string("[seq]"); });
  const auto saved = pictures.save({}, picture(1, "new"));
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace safelight::app
