#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/auth/auth_settings.h"
#include "http/auth/credentials.h"
#include "http/auth/key_store.h"
#include "http/auth/origin_policy.h"
#include "http/auth/password_book.h"
#include "http/auth/rate_limiter.h"
#include "http/auth/session_table.h"
#include "http/gatekeeper.h"

namespace safelight::http {

/// The clocks, which tests turn.
struct AuthClocks {
  std::function<Instant()> steady;
  std::function<int64_t()> wall;  ///< seconds since the epoch
};

/// Who may do what: the gatekeeper of a server, and what the login page needs. Any thread.
class AuthService final : public Gatekeeper {
 public:
  /// Errors: those of the settings (kInvalidArgument), and of a keys' file that cannot be read.
  static Result<std::unique_ptr<AuthService>> make(AuthSettings settings, AuthClocks clocks = {});

  Awaitable<Admission> admit(Exchange& exchange, const Route& route) override;

  /// To be called before requests come, with where the server really listens, which sockets that
  /// were passed to it and names do not tell before. Errors: those of check_exposure.
  Status listens_at(const std::vector<std::string>& addresses);

  /// Whether requests need credentials: users or keys are there, or the address is not of loopback.
  bool required() const;
  const AuthSettings& settings() const { return settings_; }

  /// Somebody whose credentials were right.
  struct Identity {
    api::Principal principal;
    double per_minute = 0;   ///< requests, where the key says so
    bool by_cookie = false;  ///< then a browser may have sent them without being asked
    Secret csrf;             ///< of the session
  };
  /// Checks a name with its password, or with an API key as the password. Errors: kUnauthenticated;
  /// kBusy when this address was wrong too often, or too many passwords are being checked.
  Awaitable<Result<Identity>> sign_in(Exchange& exchange, BasicCredentials credentials);

  struct OpenedSession {
    std::string token, csrf;
  };
  OpenedSession open_session(const Identity& identity);
  /// The session that the request's cookie names; nothing when there is none.
  std::optional<SessionTable::Session> session(const Exchange& exchange);
  void close_session(const Exchange& exchange);
  /// Seconds until an address that was wrong too often may try a password again.
  double sign_in_pause() const;

  std::string session_cookie() const;  ///< names: a host's servers on other ports have others
  std::string csrf_cookie() const;

 private:
  struct Refusal {
    Error error;
    int status = 0;  ///< by the error's code when 0
    double retry_after = 0;
  };
  AuthService(AuthSettings settings, AuthClocks clocks, std::unique_ptr<PasswordBook> passwords);

  Awaitable<Admission> decide(Exchange& exchange, const Route& route);
  std::optional<Refusal> check_source(const Exchange& exchange, const Route& route) const;
  std::optional<Refusal> check_rights(const Exchange& exchange, const Route& route,
                                      const Identity& identity) const;
  static Refusal too_fast(const RateLimiter::Verdict& rate);
  Reply refuse(const Exchange& exchange, const Route& route, const Refusal& refusal) const;

  Awaitable<Result<Identity>> authenticate(Exchange& exchange);
  Awaitable<Result<Identity>> identify_key(Exchange& exchange, std::string key);
  Awaitable<Result<Identity>> identify_user(Exchange& exchange, BasicCredentials credentials);
  Result<Identity> identify_session(const SessionTable::Session& session) const;
  Awaitable<Result<bool>> check_password(Exchange& exchange, const BasicCredentials& credentials);
  Awaitable<Result<bool>> check_in_turn(Exchange& exchange, const BasicCredentials& credentials);
  Awaitable<void> refresh_keys(Exchange& exchange);

  const AuthSettings settings_;
  const AuthClocks clocks_;
  const OriginPolicy origins_;
  const std::unique_ptr<PasswordBook> passwords_;
  std::atomic<bool> always_;  ///< credentials are needed whatever keys there are
  KeyStore keys_;
  SessionTable sessions_;
  RateLimiter by_address_, by_principal_, wrong_passwords_;
  std::atomic<int> checking_ = 0;  ///< passwords at this moment
  std::atomic<int> waiting_ = 0;   ///< for their turn to be checked
};

}  // namespace safelight::http
