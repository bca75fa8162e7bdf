#include "jobs/redis_url.h"

#include <fmt/format.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

namespace safelight::jobs {
namespace {

constexpr std::string_view kForm = "redis://[user:password@]host[:port][/database], or rediss://";
constexpr size_t kMaxUrlBytes = 4096;

/// The URL without its credentials, for messages; also of what is no URL.
std::string redacted(std::string_view url) {
  const size_t at = url.rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos || scheme > at) {
    return fmt::format("***{}", url.substr(at));
  }
  return fmt::format("{}***{}", url.substr(0, scheme + 3), url.substr(at));
}

Error wrong(std::string_view url, std::string_view what) {
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("broker '{}': {}; expected {}", redacted(url), what, kForm)};
}

bool read_number(std::string_view text, int limit, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= limit;
}

}  // namespace

std::string RedisTarget::label() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}/{}", tls ? "rediss" : "redis", v6 ? "[" : "", host,
                     v6 ? "]" : "", port, database);
}

Result<RedisTarget> parse_redis_url(std::string_view url) {
  if (url.size() > kMaxUrlBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("broker: an address of {} bytes; expected {}", url.size(), kForm)};
  }
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed) return wrong(url, "not a URL");
  RedisTarget target;
  if (parsed->scheme() != "redis" && parsed->scheme() != "rediss") {
    return wrong(url, fmt::format("the scheme '{}' is not one of a broker",
                                  std::string_view(parsed->scheme())));
  }
  target.tls = parsed->scheme() == "rediss";
  target.host = parsed->host_address();
  if (target.host.empty()) return wrong(url, "it names no host");
  if (parsed->has_port() && (!read_number(parsed->port(), 65535, target.port) || target.port == 0))
    return wrong(url, "the port is not a number from 1 to 65535");
  target.user = parsed->user();
  target.password = parsed->password();
  if (!target.user.empty() && !parsed->has_password())
    return wrong(url, "it names a user without a password (a password alone stands behind ':')");
  const std::string path = parsed->path();
  if (path.size() > 1 && !read_number(std::string_view(path).substr(1), 1 << 20, target.database))
    return wrong(url, "what follows the host is not the number of a database");
  if (parsed->has_query() || parsed->has_fragment())
    return wrong(url, "it has a query or fragment, which mean nothing here");
  return target;
}

}  // namespace safelight::jobs
