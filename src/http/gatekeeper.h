#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/principal.h"
#include "http/exchange.h"

namespace safelight::http {

/// Whether a request may be answered, decided from its head, before its body is read.
struct Admission {
  api::Principal principal;
  /// Added to whatever the answer is: RateLimit-*, Set-Cookie.
  std::vector<std::pair<std::string, std::string>> headers;
  /// Sent instead of calling the handler: 401, 403, 421, 429.
  std::optional<Reply> refusal;
};

/// Stands before every route, socket and file: Host and Origin (DNS rebinding, WebSocket hijack),
/// credentials and role, CSRF of cookie sessions, rate limits by key and by address.
class Gatekeeper {
 public:
  virtual ~Gatekeeper() = default;
  /// `exchange.body()` is not read yet. Must not throw.
  virtual Awaitable<Admission> admit(Exchange& exchange, const Route& route) = 0;
};

}  // namespace safelight::http
