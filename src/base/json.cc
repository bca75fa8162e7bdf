#include "base/json.h"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <system_error>
#include <unordered_set>
#include <vector>

namespace safelight {
namespace {

namespace json = boost::json;

/// Boost.JSON's own builder lets the last of two equal keys win; this one remembers the keys of the
/// open objects.
class StrictHandler {
 public:
  // Names that Boost.JSON asks for.
  // NOLINTBEGIN(readability-identifier-naming)
  static constexpr size_t max_array_size = -1;
  static constexpr size_t max_object_size = -1;
  static constexpr size_t max_string_size = -1;
  static constexpr size_t max_key_size = -1;
  // NOLINTEND(readability-identifier-naming)

  json::value_stack stack;
  std::string duplicate;

  bool on_document_begin(json::error_code&) {
    stack.reset();
    return true;
  }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(size_t n, json::error_code&) {
    keys_.pop_back();
    stack.push_object(n);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t n, json::error_code&) {
    stack.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view s, size_t, json::error_code&) {
    key_.append(s.data(), s.size());
    stack.push_chars(s);
    return true;
  }
  bool on_key(json::string_view s, size_t, json::error_code& failure) {
    key_.append(s.data(), s.size());
    if (!keys_.back().insert(key_).second) {
      duplicate = key_;
      failure = json::error::syntax;
      return false;
    }
    key_.clear();
    stack.push_key(s);
    return true;
  }
  bool on_string_part(json::string_view s, size_t, json::error_code&) {
    stack.push_chars(s);
    return true;
  }
  bool on_string(json::string_view s, size_t, json::error_code&) {
    stack.push_string(s);
    return true;
  }
  bool on_number_part(json::string_view s, json::error_code&) {
    number_.append(s.data(), s.size());
    return true;
  }
  bool on_int64(int64_t i, json::string_view, json::error_code&) {
    number_.clear();
    stack.push_int64(i);
    return true;
  }
  bool on_uint64(uint64_t u, json::string_view, json::error_code&) {
    number_.clear();
    stack.push_uint64(u);
    return true;
  }
  /// Boost.JSON 1.81's own conversion can miss the nearest double by one, and gives infinity for
  /// what is too large.
  bool on_double(double, json::string_view s, json::error_code& failure) {
    number_.append(s.data(), s.size());
    double nearest = 0;
    const char* end = number_.data() + number_.size();
    const auto [rest, bad] = std::from_chars(number_.data(), end, nearest);
    if (bad != std::errc() || rest != end) {
      failure = bad == std::errc::result_out_of_range ? json::error::exponent_overflow
                                                      : json::error::syntax;
      return false;
    }
    number_.clear();
    stack.push_double(nearest);
    return true;
  }
  bool on_bool(bool b, json::error_code&) {
    stack.push_bool(b);
    return true;
  }
  bool on_null(json::error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::vector<std::unordered_set<std::string>> keys_;
  std::string key_;
  std::string number_;
};

}  // namespace

Result<json::value> parse_json(std::string_view text, size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<StrictHandler> parser(options);
  json::error_code failure;
  const size_t used = parser.write_some(false, text.data(), text.size(), failure);
  const std::string& duplicate = parser.handler().duplicate;
  if (!duplicate.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("JSON has the key '{}' twice in one object", duplicate)};
  }
  if (failure) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("bad JSON at byte {}: {}", used, failure.message())};
  }
  const size_t rest = text.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("bad JSON at byte {}: text after the document", rest)};
  }
  return parser.handler().stack.release();
}

}  // namespace safelight
