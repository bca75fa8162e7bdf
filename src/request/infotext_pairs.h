#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace safelight::request {

/// Parameters of a generation text in their order; a key may come twice.
using InfotextPairs = std::vector<std::pair<std::string, std::string>>;

/// The parts of a generation text.
struct InfotextParts {
  std::string prompt, negative_prompt;
  /// Of the line of parameters; "Template" and "Negative Template" of lines of their own as well.
  InfotextPairs pairs;
};

/// Takes a generation text apart: prompt, "Negative prompt: ...", then a line of parameters, "key:
/// value, ...", whose values are plain, JSON strings, or JSON objects and lists. SD.Next has lines
/// "Template: ..." before it, sd-dynamic-prompts behind it. A last line with fewer than three
/// parameters is prompt, as in SD WebUI. Linear in the text's length.
InfotextParts split_infotext(std::string_view text);

/// A value as it stands in a line of parameters: a JSON string where it would break the line.
std::string quoted_value(const std::string& value);

/// The value of a key; the last where it comes twice, null where there is none.
const std::string* find_value(const InfotextPairs& pairs, std::string_view key);

}  // namespace safelight::request
