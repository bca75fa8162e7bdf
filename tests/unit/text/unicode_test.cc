#include "text/unicode.h"

#include <gtest/gtest.h>

namespace safelight::text {
namespace {

TEST(Utf8, MakesOneReplacementForEachBrokenCharacter) {
  EXPECT_EQ(decode_utf8("a\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80"), U"a\u00E9\u65E5\U0001F600");
  EXPECT_EQ(decode_utf8("\x80\xBF"), U"\uFFFD\uFFFD") << "no lead";
  EXPECT_EQ(decode_utf8("\xF0\x9F\x98 \xE6\x97"), U"\uFFFD \uFFFD") << "cut short";
  EXPECT_EQ(decode_utf8("\xC0\xAF"), U"\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(decode_utf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD") << "surrogate";
  EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80"), U"\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond U+10FFFF";
}

TEST(Utf8, WritesWhatItReads) {
  for (const char32_t code :
       {0x0U, 0x7FU, 0x80U, 0x7FFU, 0x800U, 0xD7FFU, 0xE000U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    std::string text;
    append_utf8(text, code);
    EXPECT_EQ(decode_utf8(text), CodePoints(1, code)) << std::hex << static_cast<uint32_t>(code);
  }
}

TEST(Nfc, ComposesAndReorders) {
  EXPECT_EQ(to_nfc(U"e\u0301"), U"\u00E9");
  EXPECT_EQ(to_nfc(U"\u212B"), U"\u00C5") << "Angstrom sign";
  EXPECT_EQ(to_nfc(U"\u1112\u1161\u11AB"), U"\uD55C") << "Hangul";
  EXPECT_EQ(to_nfc(U"\uD558\u11AB"), U"\uD55C");
  EXPECT_EQ(to_nfc(U"q\u0307\u0323"), U"q\u0323\u0307") << "below before above";
  EXPECT_EQ(to_nfc(U"a\u0315\u0300"), U"\u00E0\u0315") << "past a mark of higher class";
  EXPECT_EQ(to_nfc(U"a\u0345\u0338\u0301"), to_nfc(U"a\u0338\u0301\u0345"));
  EXPECT_EQ(to_nfc(U"\u0915\u093C"), U"\u0915\u093C") << "excluded from composition";
  EXPECT_EQ(to_nfc(U"\u0958"), U"\u0915\u093C");
}

TEST(Lower, IsRustsForSingleCharacters) {
  EXPECT_EQ(to_lower(U"AZ\u00C9\u0416\u10A0"), U"az\u00E9\u0436\u2D00");
  EXPECT_EQ(to_lower(U"\u0130"), U"i\u0307") << "the one that grows";
  EXPECT_EQ(to_lower(U"\u0391\u03A3"), U"\u03B1\u03C3") << "no final sigma";
  EXPECT_EQ(to_lower(U"\u01C5"), U"\u01C6");
  EXPECT_EQ(to_lower(U"\u0101"), U"\u0101") << "between two capitals of its range";
}

TEST(Classes, AreThoseOfTheTokenizersPackage) {
  EXPECT_EQ(classify(U'a'), CodeClass::kLetter);
  EXPECT_EQ(classify(U'\u65E5'), CodeClass::kLetter);
  EXPECT_EQ(classify(U'\u00BD'), CodeClass::kNumber);
  EXPECT_EQ(classify(U'\u2167'), CodeClass::kNumber);
  EXPECT_EQ(classify(U'\u3000'), CodeClass::kSpace);
  EXPECT_EQ(classify(U'\u0085'), CodeClass::kSpace);
  EXPECT_EQ(classify(U'\u001C'), CodeClass::kOther);
  EXPECT_EQ(classify(U'\u0301'), CodeClass::kOther);
  EXPECT_EQ(classify(U'\u200B'), CodeClass::kOther);
}

TEST(Digits, HaveTheirValues) {
  EXPECT_EQ(decimal_digit(U'7'), 7);
  EXPECT_EQ(decimal_digit(U'\u0665'), 5);
  EXPECT_EQ(decimal_digit(U'\uFF19'), 9);
  EXPECT_EQ(decimal_digit(U'\U0001D7D8'), 0) << "bold, double-struck: runs that follow each other";
  EXPECT_EQ(decimal_digit(U'\u00B2'), -1);
  EXPECT_EQ(decimal_digit(U'a'), -1);
}

}  // namespace
}  // namespace safelight::text
