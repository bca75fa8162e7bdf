#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/auth/auth_settings.h"

namespace safelight::http {

/// What of a request's head tells whether a browser sent it for a page of ours.
struct RequestSource {
  std::string_view host;    ///< Host
  std::string_view origin;  ///< Origin
  std::string_view site;    ///< Sec-Fetch-Site
  bool changes = false;     ///< not GET, HEAD or OPTIONS
  bool socket = false;      ///< a WebSocket upgrade
};

/// Whether a request changes something, by its method.
bool changes_state(std::string_view method);

/// Keeps web pages elsewhere out: by DNS rebinding (Host), by requests across sites and by
/// WebSockets, which no browser holds back (Origin). Programs send no Origin and pass.
class OriginPolicy {
 public:
  explicit OriginPolicy(const AuthSettings& settings);

  struct Fault {
    int status = 403;
    std::string message;
  };
  std::optional<Fault> check(const RequestSource& source) const;

 private:
  std::optional<Fault> check_host(std::string_view host) const;
  std::optional<Fault> check_origin(const RequestSource& source) const;

  std::vector<std::string> hosts_;    ///< lower case, without port
  std::vector<std::string> origins_;  ///< lower case
};

}  // namespace safelight::http
