#include "http/target.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace safelight::http {
namespace {

constexpr size_t kMostPairs = 256;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error bad_target(const std::string& why) {
  return {ErrorCode::kInvalidArgument, "the request's target " + why};
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

Status check_segment(std::string_view segment) {
  if (segment == "." || segment == "..") {
    return bad_target(
        fmt::format("has the segment '{}'; send the path that is meant, without it", segment));
  }
  if (segment.find_first_of("/\\") != std::string_view::npos) {
    return bad_target("has an escaped slash or a backslash; names with slashes go into the query");
  }
  if (std::any_of(segment.begin(), segment.end(), is_control)) {
    return bad_target("has a control character");
  }
  if (find_invalid_utf8(segment) != std::string_view::npos) {
    return bad_target("is not UTF-8 after decoding its %XX escapes");
  }
  return {};
}

Result<std::string> decoded_path(std::string_view raw) {
  std::string path;
  for (size_t begin = 1; begin <= raw.size();) {
    const size_t end = std::min(raw.find('/', begin), raw.size());
    Result<std::string> segment = percent_decoded(raw.substr(begin, end - begin));
    if (!segment) return segment.error();
    if (const Status sound = check_segment(*segment); !sound) return sound.error();
    path.append("/").append(*segment);
    begin = end + 1;
  }
  return path;
}

/// The length of "http://" or "https://" at the beginning; 0 when there is neither.
size_t scheme_length(std::string_view raw) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (ascii_lower(raw.substr(0, scheme.size())) == scheme) return scheme.size();
  }
  return 0;
}

}  // namespace

Result<std::string> percent_decoded(std::string_view raw, bool plus_is_space) {
  std::string text;
  text.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return bad_target("has a '%' without two hexadecimal digits; a percent sign is %25");
      }
      text += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      text += plus_is_space && raw[i] == '+' ? ' ' : raw[i];
    }
  }
  return text;
}

std::string percent_encoded(std::string_view text, std::string_view keep) {
  std::string encoded;
  for (char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos ||
                       keep.find(c) != std::string_view::npos;
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

Result<Pairs> parse_query(std::string_view raw) {
  Pairs pairs;
  for (size_t begin = 0; begin < raw.size();) {
    const size_t end = std::min(raw.find('&', begin), raw.size());
    const std::string_view pair = raw.substr(begin, end - begin);
    begin = end + 1;
    if (pair.empty()) continue;
    if (pairs.size() == kMostPairs) {
      return bad_target(fmt::format("has more than {} query parameters", kMostPairs));
    }
    const size_t equals = std::min(pair.find('='), pair.size());
    Result<std::string> name = percent_decoded(pair.substr(0, equals), true);
    if (!name) return name.error();
    Result<std::string> value =
        percent_decoded(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!value) return value.error();
    if (find_invalid_utf8(*name) != std::string_view::npos ||
        find_invalid_utf8(*value) != std::string_view::npos) {
      return bad_target("has a query that is not UTF-8");
    }
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

Result<Target> parse_target(std::string_view raw) {
  Target target;
  if (raw == "*") {
    target.path = "*";
    return target;
  }
  if (const size_t scheme = scheme_length(raw); scheme > 0) {
    raw.remove_prefix(scheme);
    const size_t end = std::min(raw.find_first_of("/?"), raw.size());
    target.authority = raw.substr(0, end);
    raw.remove_prefix(end);
    if (target.authority.empty() || target.authority.find('@') != std::string::npos) {
      return bad_target("names no host, or credentials; credentials go into Authorization");
    }
  } else if (!raw.starts_with('/')) {
    return bad_target(
        fmt::format("is '{}'; a path that begins with '/' is needed", utf8_prefix(raw, 40)));
  }
  if (raw.find('#') != std::string_view::npos) return bad_target("has a fragment ('#')");
  const size_t question = std::min(raw.find('?'), raw.size());
  const std::string_view path = raw.substr(0, question);
  Result<std::string> decoded = decoded_path(path.empty() ? "/" : path);
  if (!decoded) return decoded.error();
  target.path = std::move(*decoded);
  Result<Pairs> query = parse_query(raw.substr(std::min(question + 1, raw.size())));
  if (!query) return query.error();
  target.query = std::move(*query);
  return target;
}

}  // namespace safelight::http
