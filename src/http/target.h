#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace safelight::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What a request asks for, decoded once.
struct Target {
  /// Percent-decoded; segments are what stands between its slashes. "*" for OPTIONS *.
  std::string path;
  Pairs query;
  std::string authority;  ///< of the absolute form, "host:port"; it replaces Host
};

/// Reads a request target in origin form, absolute form (http, https) or "*". Errors:
/// kInvalidArgument for another form, a bad escape, text that is not UTF-8, control characters, and
/// for what could leave a folder: a decoded "/" or "\" inside a segment, segments "." and "..".
Result<Target> parse_target(std::string_view raw);

/// Decodes "a=b&c=d" with "+" as space; at most 256 pairs. Errors: kInvalidArgument for a bad
/// escape and for text that is not UTF-8.
Result<Pairs> parse_query(std::string_view raw);

/// Decodes %XX once. Errors: kInvalidArgument for a "%" without two hexadecimal digits.
Result<std::string> percent_decoded(std::string_view raw, bool plus_is_space = false);

/// The text with all but letters, digits, "-", ".", "_", "~" and `keep` escaped.
std::string percent_encoded(std::string_view text, std::string_view keep = {});

}  // namespace safelight::http
