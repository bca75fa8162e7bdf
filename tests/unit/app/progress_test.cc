#include "app/progress.h"

#include <gtest/gtest.h>

namespace safelight::app {
namespace {

/// What `update` calls write, through a temporary file.
template <class Body>
std::string written(Progress::Style style, Body body) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress(file, style);
    body(progress);
  }
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(Progress, TellsStepSpeedAndTimeToGo) {
  EXPECT_EQ(progress_text({.step = 5, .steps = 20}, 2, 0), "step 5/20  2.50 it/s  ETA 0:06");
  EXPECT_EQ(progress_text({.step = 1, .steps = 3}, 4000, 0), "step 1/3  4000.00 s/it  ETA 2:13:20");
}

TEST(Progress, CountsAllBatches) {
  EXPECT_EQ(progress_text({.picture = 2, .pictures = 4, .step = 10, .steps = 20}, 30, 0),
            "batch 2/4  step 10/20  1.00 it/s  ETA 0:50");
}

TEST(Progress, KnowsNoSpeedBeforeTheFirstStep) {
  EXPECT_EQ(progress_text({.step = 0, .steps = 20}, 0, 0), "step 0/20");
}

TEST(Progress, DrawsABarWhereThereIsRoom) {
  EXPECT_EQ(progress_text({.step = 1, .steps = 2}, 0, 25), "[######......]  step 1/2");
  EXPECT_EQ(progress_text({.step = 1, .steps = 2}, 0, 20), "step 1/2");
  for (const int width : {40, 80, 200}) {
    EXPECT_LT(progress_text({.step = 7, .steps = 20}, 3, width).size(), width);
  }
}

TEST(Progress, WritesPlainLinesNowAndThen) {
  const std::string text = written(Progress::Style::kLines, [](Progress& progress) {
    for (int step = 0; step <= 20; ++step) progress.update({.step = step, .steps = 20}, step);
  });
  EXPECT_EQ(text,
            "step 5/20  1.00 it/s  ETA 0:15\n"
            "step 10/20  1.00 it/s  ETA 0:10\n"
            "step 15/20  1.00 it/s  ETA 0:05\n"
            "step 20/20  1.00 it/s  ETA 0:00\n");
}

TEST(Progress, RedrawsOneLineOnATerminalAndRemovesIt) {
  const std::string text = written(Progress::Style::kTerminal, [](Progress& progress) {
    progress.update({.step = 0, .steps = 2}, 0);
    progress.update({.step = 1, .steps = 2}, 1);
  });
  EXPECT_TRUE(text.starts_with("\r[")) << text;
  EXPECT_TRUE(text.ends_with("ETA 0:01\x1b[K\r\x1b[K")) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(Progress, IsSilentWhenQuiet) {
  const std::string text = written(Progress::Style::kQuiet, [](Progress& progress) {
    progress.update({.step = 2, .steps = 2}, 100);
  });
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace safelight::app
