#include "guard/blocklist.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "guard/text_normaliser.h"
#include "support/temporary_folder.h"

namespace safelight::guard {
namespace {

Blocklist list_of(std::string_view phrases) {
  Blocklist list;
  const Status added = list.add(phrases, 11, "S12.test", true);
  EXPECT_TRUE(added.ok());
  return list;
}

size_t found(const Blocklist& list, std::string_view text) {
  return list.find(fold_text(text)).size();
}

TEST(Blocklist, FindsPhrasesAsWholeWords) {
  const Blocklist list = list_of("# comment\nnude\n  Wet Pussy \n\n");
  EXPECT_EQ(list.size(), 2U);
  EXPECT_EQ(found(list, "a nude, sitting"), 1U);
  EXPECT_EQ(found(list, "denuded hills; nudes"), 0U);
  EXPECT_EQ(found(list, "pussy willow, wet"), 0U);
  EXPECT_EQ(found(list, "WET  pussy and nude"), 2U);
}

TEST(Blocklist, SeesThroughDisguises) {
  const Blocklist list = list_of("nude\nporn\nfuck\nass");
  for (const char* text : {"n u d e", "nudе", "n\u200Bude", "p0rn", "p0.r.n p0rn", "f*ck this",
                           "(f*ck:1.2) * word", "@ss", "fuuuuck", "ＮＵＤＥ girl"}) {
    EXPECT_EQ(found(list, text), 1U) << text;
  }
}

TEST(Blocklist, FindsLettersApartAfterAnA) {
  const Blocklist list = list_of("nude\nanal");
  EXPECT_EQ(found(list, "a n u d e girl"), 1U);
  EXPECT_EQ(found(list, "a n a l"), 1U);
  EXPECT_EQ(found(list, "a canal"), 0U);
}

TEST(Blocklist, NamesThePhraseOnce) {
  const auto matches = list_of("Nude").find(fold_text("nude and nud3 g1rl, nude"));
  ASSERT_EQ(matches.size(), 1U);
  EXPECT_EQ(matches[0].phrase, "Nude");
  EXPECT_EQ(matches[0].list, "S12.test");
  EXPECT_EQ(matches[0].hazard, 11U);
  EXPECT_TRUE(matches[0].decides);
}

TEST(Blocklist, FindsWordsOfScriptsWithoutSpaces) {
  const Blocklist list = list_of("裸体\nポルノ");
  EXPECT_EQ(found(list, "美しい裸体の女性"), 1U);
  EXPECT_EQ(found(list, "これはポルノです"), 1U);
  EXPECT_EQ(found(list, "体裸"), 0U);
}

TEST(Blocklist, RefusesPhrasesThatWouldFindAnything) {
  Blocklist list;
  for (const char* phrase : {"xxx", "?", "!!!", "one two three four five six seven",
                             "a\xFF"
                             "b"}) {
    const Status added = list.add(phrase, 0, "mine", true);
    ASSERT_FALSE(added.ok()) << phrase;
    EXPECT_EQ(added.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(added.error().message.find("mine, line 1"), std::string::npos);
  }
}

TEST(Blocklist, ReadsFoldersByTheNamesOfTheirFiles) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "S10.en.txt", "slur\n"));
  ASSERT_TRUE(write_file_atomically(folder.path() / "S4.txt", "other\n"));
  ASSERT_TRUE(write_file_atomically(folder.path() / "notes.md", "nothing\n"));
  Blocklist shipped;
  ASSERT_TRUE(shipped.add_folder(folder.path(), Blocklist::Owner::kShipped));
  const auto matches = shipped.find("a slur and other");
  ASSERT_EQ(matches.size(), 2U);
  EXPECT_EQ(matches[0].list, "S10.en");
  EXPECT_FALSE(matches[0].decides) << "a hint";
  EXPECT_TRUE(matches[1].decides) << "S4 always";
  Blocklist own;
  ASSERT_TRUE(own.add_folder(folder.path(), Blocklist::Owner::kOperator));
  EXPECT_TRUE(own.find("slur")[0].decides);

  ASSERT_TRUE(write_file_atomically(folder.path() / "rude.txt", "word\n"));
  const Status named = own.add_folder(folder.path(), Blocklist::Owner::kOperator);
  ASSERT_FALSE(named.ok());
  EXPECT_NE(named.error().message.find("rude.txt"), std::string::npos);
  EXPECT_EQ(own.add_folder(folder.path() / "absent", Blocklist::Owner::kOperator).error().code,
            ErrorCode::kNotFound);
}

}  // namespace
}  // namespace safelight::guard
