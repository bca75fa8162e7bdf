#include "http/auth/origin_policy.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "http/auth/address.h"

namespace safelight::http {
namespace {

struct Authority {
  std::string host;  ///< lower case, without brackets and final dot
  std::string port;  ///< empty when not given
};

/// "host", "host:port" or "[v6]:port"; nothing for other text.
std::optional<Authority> parse_authority(std::string_view text) {
  std::string_view host = text, port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (!port.empty()) {
    if (!port.starts_with(':')) return std::nullopt;
    port.remove_prefix(1);
  }
  if (port.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty()) return std::nullopt;
  return Authority{ascii_lower(host), std::string(port)};
}

/// What of a client's text a message repeats.
std::string_view shown(std::string_view text) { return utf8_prefix(text, 100); }

/// Whether `origin`, "scheme://host:port", is where a page of `host` lives. The scheme is not
/// compared: behind a proxy with TLS the server does not know it, and nobody else has the port.
bool same_origin(std::string_view origin, std::string_view host) {
  const size_t scheme_end = origin.find("://");
  if (scheme_end == std::string_view::npos) return false;
  const std::string_view scheme = origin.substr(0, scheme_end);
  if (scheme != "http" && scheme != "https") return false;
  const auto page = parse_authority(origin.substr(scheme_end + 3));
  const auto server = parse_authority(host);
  if (!page || !server) return false;
  const std::string usual = scheme == "https" ? "443" : "80";
  const auto port = [&](const Authority& a) { return a.port.empty() ? usual : a.port; };
  return page->host == server->host && port(*page) == port(*server);
}

}  // namespace

bool changes_state(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

OriginPolicy::OriginPolicy(const AuthSettings& settings) {
  hosts_ = {"localhost", ascii_lower(settings.address)};
  std::array<char, 256> name{};
  // The machine's own name, for which no foreign name server answers.
  if (::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0')
    hosts_.push_back(ascii_lower(name.data()));
  for (const std::string& host : settings.allowed_hosts) {
    const auto parsed = parse_authority(trimmed(host));
    if (parsed) hosts_.push_back(parsed->host);
  }
  for (const std::string& origin : settings.cors_origins) {
    std::string_view exact = trimmed(origin);
    if (exact.ends_with('/')) exact.remove_suffix(1);
    origins_.push_back(ascii_lower(exact));
  }
}

std::optional<OriginPolicy::Fault> OriginPolicy::check(const RequestSource& source) const {
  if (auto fault = check_host(source.host)) return fault;
  return check_origin(source);
}

std::optional<OriginPolicy::Fault> OriginPolicy::check_host(std::string_view host) const {
  const auto authority = parse_authority(host);
  if (!authority)
    return Fault{421, fmt::format("the Host header '{}' names no server", shown(host))};
  // An address is nothing that a foreign name server could have chosen.
  if (parse_address(authority->host)) return std::nullopt;
  if (std::find(hosts_.begin(), hosts_.end(), authority->host) != hosts_.end()) return std::nullopt;
  return Fault{421, fmt::format("'{}' is not a name of this server; to reach it under that name, "
                                "start it with --allowed-hosts {}",
                                shown(authority->host), shown(authority->host))};
}

std::optional<OriginPolicy::Fault> OriginPolicy::check_origin(const RequestSource& source) const {
  const bool listed =
      !source.origin.empty() &&
      std::find(origins_.begin(), origins_.end(), ascii_lower(source.origin)) != origins_.end();
  if (listed) return std::nullopt;
  if (!source.origin.empty() && !same_origin(ascii_lower(source.origin), source.host)) {
    return Fault{403, fmt::format("pages of '{}' may not call this server, which is '{}'; to allow "
                                  "them, start it with --cors-origins {}",
                                  shown(source.origin), shown(source.host), shown(source.origin))};
  }
  if ((source.changes || source.socket) && source.site == "cross-site") {
    return Fault{403,
                 "a page of another site may not change anything here; to allow it, start the "
                 "server with --cors-origins and the page's origin"};
  }
  return std::nullopt;
}

}  // namespace safelight::http
