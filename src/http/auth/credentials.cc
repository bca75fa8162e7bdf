#include "http/auth/credentials.h"

#include <algorithm>

#include "base/base64.h"
#include "base/text.h"

namespace safelight::http {
namespace {

/// What follows the scheme, in any case, in an Authorization header; empty for another scheme.
std::string_view after_scheme(std::string_view authorization, std::string_view scheme) {
  if (authorization.size() <= scheme.size() || authorization[scheme.size()] != ' ') return {};
  if (ascii_lower(authorization.substr(0, scheme.size())) != scheme) return {};
  return trimmed(authorization.substr(scheme.size() + 1));
}

std::optional<BasicCredentials> read_basic(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto pair = base64_decode(text);
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) return std::nullopt;
  return BasicCredentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

}  // namespace

std::string_view cookie(const Exchange& exchange, std::string_view name) {
  std::string_view rest = exchange.header("Cookie");
  while (!rest.empty()) {
    // Fields of one name are joined with commas, which no cookie holds.
    const size_t end = std::min(rest.find_first_of(";,"), rest.size());
    const std::string_view pair = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return pair.substr(name.size() + 1);
  }
  return {};
}

Credentials read_credentials(const Exchange& exchange, std::string_view session_cookie) {
  const std::string_view authorization = exchange.header("Authorization");
  Credentials credentials;
  credentials.key = after_scheme(authorization, "bearer");
  if (credentials.key.empty()) credentials.key = trimmed(exchange.header("X-API-Key"));
  credentials.basic = read_basic(after_scheme(authorization, "basic"));
  credentials.session = cookie(exchange, session_cookie);
  return credentials;
}

}  // namespace safelight::http
