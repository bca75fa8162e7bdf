#include "guard/text_normaliser.h"

#include <gtest/gtest.h>

namespace safelight::guard {
namespace {

TEST(FoldText, ShowsWhatAReaderSees) {
  for (const char* disguised :
       {"NUDE", "n u d e", "n.u.d.e", "n-u-d-e", "n_u_d_e", "n*u*d*e", "nudе" /* Cyrillic е */,
        "n\u200Bu\u200Bd\u200Be", "nu\u00ADde", "ｎｕｄｅ", "𝓃𝓊𝒹ℯ", "𝐍𝐔𝐃𝐄", "ⓝⓤⓓⓔ", "🅽🆄🅳🅴",
        "n\u0336u\u0336d\u0336e\u0336", "ñüdé", "nuuuuude", "ɴᴜᴅᴇ", "\u202Enude\u202C"}) {
    EXPECT_EQ(fold_text(disguised), "nude") << disguised;
  }
}

TEST(FoldText, KeepsWhatIsNotDisguised) {
  EXPECT_EQ(fold_text("J. R. R. Tolkien"), "j. r. r. tolkien");
  EXPECT_EQ(fold_text("x_y, a b"), "x_y, a b") << "two are not spaced out";
  EXPECT_EQ(fold_text("book, 1000 feet, coool"), "book, 1000 feet, col");
  EXPECT_EQ(fold_text("日本の庭"), "日本の庭");
  EXPECT_EQ(fold_text("नमस्ते"), "नमस्ते") << "vowel signs belong to the word";
  EXPECT_EQ(fold_text("наш дом").find(' '), fold_text("наш дом").rfind(' '));
  EXPECT_EQ(fold_text("don’t — stop…"), "don't - stop...");
}

TEST(FoldText, TakesAnAForTheArticle) {
  EXPECT_EQ(fold_text("a n u d e girl"), "a nude girl");
  EXPECT_EQ(fold_text("a.n.u.d.e"), "anude");
  EXPECT_EQ(fold_text("a b c"), "abc");
  EXPECT_EQ(fold_text("draw a n u d e"), "draw a nude");
}

TEST(FoldText, MakesOneBlankOfAll) {
  EXPECT_EQ(fold_text("  a\t\nbc\u3000d\u00A0e\u2028 "), "a bc d e");
  EXPECT_EQ(fold_text(""), "");
  EXPECT_EQ(fold_text("\u200B \u00A0"), "");
}

TEST(FoldText, TakesBytesThatAreNoUtf8) {
  EXPECT_EQ(fold_text("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(fold_text(std::string_view("n\0u", 3)), "n u");
}

TEST(FoldText, AddsASecondTimeNothing) {
  for (const char* text : {"n u d e girl", "K I L L him", "ＡＢＣ déjà", "f.u.c.k o f f"}) {
    const std::string once = fold_text(text);
    EXPECT_EQ(fold_text(once), once) << text;
  }
}

TEST(WordsOf, SplitsAtAllButLettersDigitsAndApostrophes) {
  const std::string folded = "it's a (masterpiece:1.2), why? ünd";
  const std::vector<std::string_view> want = {"it's", "a",   "masterpiece", "1",
                                              "2",    "why", "?",           "ünd"};
  EXPECT_EQ(words_of(folded), want);
  EXPECT_TRUE(words_of("").empty());
  EXPECT_TRUE(words_of("... !").empty());
}

TEST(ReadLeetspeak, ReadsLettersThatAreDrawn) {
  EXPECT_EQ(read_leetspeak("p0rn"), "porn");
  EXPECT_EQ(read_leetspeak("$ex and h!tler"), "sex and hitler");
  EXPECT_EQ(read_leetspeak("a$$"), "ass");
}

TEST(ReadLeetspeak, LeavesNumbersOfPromptsAlone) {
  for (const char* text : {"1girl, 35mm, 8k", "mp3 h264 4k", "(word:1.2)", "1000", "", "why?"}) {
    EXPECT_EQ(read_leetspeak(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace safelight::guard
