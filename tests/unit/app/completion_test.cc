#include "app/completion.h"

#include <gtest/gtest.h>

namespace safelight::app {
namespace {

using Values = std::vector<std::string>;

/// A tree with what the completion tells apart.
class CompletionTest : public testing::Test {
 protected:
  CompletionTest() {
    CLI::App* draw = root_.add_subcommand("draw", "Draw");
    draw->add_option("-s,--sampler", text_, "The sampler")->type_name("SAMPLER");
    draw->add_option("--kind", text_, "The kind")->type_name("one|two|three");
    draw->add_option("--file", text_, "A file")->type_name("FILE");
    draw->add_flag("--fast", flag_, "Fast");
    root_.add_subcommand("dump", "Dump")->add_option("DIR", text_, "A folder")->type_name("DIR");
    root_.add_subcommand("dark", "Hidden")->group("");
  }

  Completion at(const std::vector<std::string>& words) const {
    return complete(root_, words, [](std::string_view type) -> std::vector<Candidate> {
      if (type != "SAMPLER") return {};
      return {{"Euler", ""}, {"Euler a", "ancestral"}, {"Heun", ""}};
    });
  }

  Values values(const std::vector<std::string>& words) const {
    const Completion completion = at(words);
    EXPECT_EQ(completion.kind, Completion::Kind::kValues);
    Values values;
    for (const Candidate& candidate : completion.candidates) values.push_back(candidate.value);
    return values;
  }

  CLI::App root_{"", "program"};
  std::string text_;
  bool flag_ = false;
};

TEST_F(CompletionTest, OffersCommandsButNoHiddenOne) {
  EXPECT_EQ(values({"d"}), (Values{"draw", "dump"}));
  EXPECT_EQ(values({"dr"}), Values{"draw"});
  EXPECT_EQ(values({"x"}), Values{});
  EXPECT_EQ(at({"dr"}).candidates[0].help, "Draw");
}

TEST_F(CompletionTest, OffersLongOptionsOfTheCommand) {
  EXPECT_EQ(values({"draw", "--f"}), (Values{"--file", "--fast"}));
  EXPECT_EQ(values({"--"}), Values{"--help"});
}

TEST_F(CompletionTest, OffersValuesOfAnOptionInAnyOfItsForms) {
  EXPECT_EQ(values({"draw", "--sampler", "eu"}), (Values{"Euler", "Euler a"}));
  EXPECT_EQ(values({"draw", "-s", "H"}), Values{"Heun"});
  EXPECT_EQ(values({"draw", "--sampler=eu"}), (Values{"--sampler=Euler", "--sampler=Euler a"}));
  EXPECT_EQ(values({"draw", "--sampler", "=", "eu"}), (Values{"Euler", "Euler a"}));
  EXPECT_EQ(values({"draw", "--kind", "t"}), (Values{"two", "three"}));
}

TEST_F(CompletionTest, GoesOnBehindValuesAndFlags) {
  EXPECT_EQ(values({"draw", "--sampler", "Heun", "--kind", "o"}), Values{"one"});
  EXPECT_EQ(values({"draw", "--sampler=Heun", "--fa"}), Values{"--fast"});
  EXPECT_EQ(values({"draw", "--fast", "--kind", "one", "--fi"}), Values{"--file"});
}

TEST_F(CompletionTest, LeavesFilesAndFoldersToTheShell) {
  EXPECT_EQ(at({"draw", "--file", "a"}).kind, Completion::Kind::kFiles);
  EXPECT_EQ(at({"dump", ""}).kind, Completion::Kind::kFolders);
  EXPECT_EQ(at({"dump", "--", "-"}).kind, Completion::Kind::kFolders);
}

TEST_F(CompletionTest, OffersNothingWhereNothingIsKnown) {
  EXPECT_EQ(values({}), Values{});
  EXPECT_EQ(values({"draw", "--unknown=x"}), Values{});
  EXPECT_EQ(values({"draw", ""}), Values{});
}

TEST(CompletionScript, IsThereForThreeShells) {
  for (const char* shell : {"bash", "zsh", "fish"})
    EXPECT_NE(completion_script(shell).find("complete"), std::string_view::npos) << shell;
  EXPECT_TRUE(completion_script("tcsh").empty());
}

}  // namespace
}  // namespace safelight::app
