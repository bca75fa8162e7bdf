#include "text/styles.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temporary_folder.h"

namespace safelight::text {
namespace {

TEST(Styles, ReadTheColumnsThatThereAre) {
  const auto styles = read_styles_csv("text,extra,name\nwords,1,a\n", "s.csv");
  ASSERT_TRUE(styles.ok());
  EXPECT_EQ(*styles, (std::vector<Style>{{"a", "words", "", "s.csv"}}));
  EXPECT_EQ(read_styles_csv("prompt\nx\n", "s.csv").error().message,
            "s.csv: has no columns 'name' and 'prompt'; its first line should be "
            "name,prompt,negative_prompt");
  EXPECT_EQ(read_styles_csv("name,prompt\n\xFF,x\n", "s.csv").error().message,
            "s.csv: is not UTF-8 at byte 12; save the styles as UTF-8");
  EXPECT_TRUE(read_styles_csv("", "s.csv")->empty());
}

TEST(Styles, ReadSdNextsFiles) {
  const auto styles = read_styles_json(
      R"([{"name":" A ","prompt":"{prompt}, x","negative":"y","extra":"Steps: 3"},{"name":"B"}])",
      "s.json", "Sub");
  ASSERT_TRUE(styles.ok());
  EXPECT_EQ(*styles, (std::vector<Style>{{"Sub/A", "{prompt}, x", "y", "s.json"},
                                         {"Sub/B", "", "", "s.json"}}));
  EXPECT_FALSE(read_styles_json(R"({"prompt":"x"})", "s.json", "").ok());
  EXPECT_FALSE(read_styles_json("[1]", "s.json", "").ok());
  EXPECT_FALSE(read_styles_json("{", "s.json", "").ok());
}

class StyleLibraryTest : public ::testing::Test {
 protected:
  std::string applied(const StyleLibrary& library, const std::vector<std::string>& names,
                      bool ignores_unknown = false) {
    std::string prompt = "cat", negative = "bad";
    const Status done = library.apply(names, ignores_unknown, prompt, negative);
    return done ? prompt + " | " + negative : done.error().message;
  }

  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(write_file_atomically(folder_.path() / name, text).ok());
  }

  test::TemporaryFolder folder_;
};

TEST_F(StyleLibraryTest, ReadsFilesAndFolders) {
  write("styles.csv", "name,prompt,negative_prompt\nA,\"one, {prompt}\",no\nA,two,\n");
  write("styles/Anime/p.json", R"({"name":"Pastel","prompt":"pastel","negative":"dark"})");
  write("styles/broken.json", "{");
  const StyleLibrary library = StyleLibrary::read(
      {folder_.path() / "styles.csv", folder_.path() / "styles", folder_.path() / "none"});
  ASSERT_EQ(library.styles().size(), 2U);
  ASSERT_EQ(library.problems().size(), 1U);
  EXPECT_EQ(applied(library, {"A"}), "cat, two | bad");
  EXPECT_EQ(applied(library, {"anime/pastel", "A"}), "cat, pastel, two | bad, dark");
  EXPECT_EQ(applied(library, {"Anime/Pastell"}),
            "there is no style 'Anime/Pastell'; did you mean 'Anime/Pastel'?");
  EXPECT_EQ(applied(library, {"x", "A"}, true), "cat, two | bad");
}

TEST_F(StyleLibraryTest, BoundsWhatPromptsBecome) {
  std::string twice = "{prompt}{prompt}";
  write("styles.csv", "name,prompt\nA," + twice + "\n");
  const StyleLibrary library = StyleLibrary::read({folder_.path() / "styles.csv"});
  EXPECT_NE(applied(library, std::vector<std::string>(64, "A")).find("at most"), std::string::npos);
}

}  // namespace
}  // namespace safelight::text
