#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/exchange.h"

namespace safelight::http {

struct BasicCredentials {
  std::string name, password;
};

/// What a request's head says about who asks. Nothing of it is checked yet.
struct Credentials {
  std::string key;                        ///< of Authorization: Bearer or X-API-Key
  std::optional<BasicCredentials> basic;  ///< of Authorization: Basic
  std::string session;                    ///< of the session's cookie
};

/// Reads them; what is malformed counts as absent.
Credentials read_credentials(const Exchange& exchange, std::string_view session_cookie);

/// The value of a cookie; empty when absent.
std::string_view cookie(const Exchange& exchange, std::string_view name);

}  // namespace safelight::http
