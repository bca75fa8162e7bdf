#include <fmt/format.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "http/auth/address.h"
#include "http/auth/auth_service.h"

// The part of AuthService that finds out who asks.

namespace safelight::http {
namespace {

constexpr size_t kMostCredentialBytes = 1024;
// Each check takes a core and 64 MiB: few at once, and few that wait.
constexpr int kMostChecks = 2;
constexpr int kMostWaiting = 32;
constexpr std::chrono::milliseconds kTurn{20};

/// Counts one up for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>& counter) : counter_(counter), before_(counter++) {}
  ~Counted() { --counter_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int before() const { return before_; }

 private:
  std::atomic<int>& counter_;
  int before_;
};

Awaitable<void> pause(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

Error unauthenticated(const char* message) { return {ErrorCode::kUnauthenticated, message}; }

}  // namespace

Awaitable<void> AuthService::refresh_keys(Exchange& exchange) {
  if (!keys_.refresh_due(clocks_.steady())) co_return;
  const Status read = co_await exchange.blocking([&] { return keys_.refresh(); });
  if (!read) spdlog::error("API keys stay as they were: {}", read.error().message);
}

Awaitable<Result<AuthService::Identity>> AuthService::authenticate(Exchange& exchange) {
  Credentials credentials = read_credentials(exchange, session_cookie());
  if (!credentials.key.empty())
    co_return co_await identify_key(exchange, std::move(credentials.key));
  // Before Basic, which proxies that ask for a password of their own pass on.
  if (!credentials.session.empty()) {
    const auto open = sessions_.use(credentials.session, clocks_.steady());
    if (open) co_return identify_session(*open);
  }
  if (credentials.basic) co_return co_await sign_in(exchange, std::move(*credentials.basic));
  co_return unauthenticated(
      "this needs an API key (Authorization: Bearer KEY, or X-API-Key: KEY), a user's name and "
      "password (HTTP Basic), or a login at /login");
}

Awaitable<Result<AuthService::Identity>> AuthService::sign_in(Exchange& exchange,
                                                              BasicCredentials credentials) {
  if (credentials.password.starts_with(kKeyPrefix)) {
    Result<Identity> identity = co_await identify_key(exchange, credentials.password);
    // A user's password may begin like a key.
    if (identity || passwords_->find(credentials.name) == nullptr) co_return identity;
  }
  co_return co_await identify_user(exchange, std::move(credentials));
}

Awaitable<Result<AuthService::Identity>> AuthService::identify_key(Exchange& exchange,
                                                                   std::string key) {
  const int64_t now = clocks_.wall();
  const Result<KeyRecord> record = keys_.find(key, now);
  if (!record) co_return record.error();
  if (keys_.touch_due(*record, now)) {
    const Status touched = co_await exchange.blocking([&] { return keys_.touch(record->id, now); });
    if (!touched) spdlog::warn("a key's last use is not kept: {}", touched.error().message);
  }
  co_return Identity{.principal = {.name = record->name,
                                   .role = record->role,
                                   .key_id = record->id,
                                   .quota = record->quota},
                     .per_minute = record->per_minute};
}

Awaitable<Result<AuthService::Identity>> AuthService::identify_user(Exchange& exchange,
                                                                    BasicCredentials credentials) {
  const Error wrong = unauthenticated("the user's name or password is wrong");
  if (passwords_->empty()) co_return unauthenticated("there are no passwords here, only API keys");
  const bool usable = !credentials.name.empty() &&
                      credentials.name.size() <= kMostCredentialBytes &&
                      credentials.password.size() <= kMostCredentialBytes;
  if (!usable) co_return wrong;
  if (!passwords_->remembers(credentials.name, credentials.password, clocks_.steady())) {
    const Result<bool> right = co_await check_password(exchange, credentials);
    if (!right) co_return right.error();
    if (!*right) co_return wrong;
    passwords_->remember(credentials.name, credentials.password, clocks_.steady());
  }
  const UserSettings* user = passwords_->find(credentials.name);
  co_return Identity{.principal = {.name = user->name, .role = user->role, .quota = user->quota}};
}

Awaitable<Result<bool>> AuthService::check_password(Exchange& exchange,
                                                    const BasicCredentials& credentials) {
  const std::string address(exchange.client_address());
  const std::string from = limit_key(address);
  // Paid before the check, so that many at once do not all get one; a right password is free.
  const auto budget = wrong_passwords_.take(from, 1, clocks_.steady());
  if (!budget.allowed) {
    co_return Error{ErrorCode::kBusy,
                    fmt::format("too many wrong passwords from {}; the next is checked in {:.0f} s",
                                address, budget.retry_after + 1)};
  }
  const Result<bool> checked = co_await check_in_turn(exchange, credentials);
  if (!checked) co_return checked.error();
  const bool right = *checked;
  if (right) {
    wrong_passwords_.give_back(from, 1);
  } else {
    spdlog::warn("wrong password from {}", address);
    co_await pause(settings_.wrong_password_delay);
  }
  co_return right;
}

Awaitable<Result<bool>> AuthService::check_in_turn(Exchange& exchange,
                                                   const BasicCredentials& credentials) {
  const Counted waiting(waiting_);
  if (waiting.before() >= kMostWaiting)
    co_return Error{ErrorCode::kBusy, "too many passwords are being checked; try again"};
  for (;;) {
    {
      const Counted turn(checking_);
      if (turn.before() < kMostChecks) {
        co_return co_await exchange.blocking(
            [&] { return passwords_->check(credentials.name, credentials.password); });
      }
    }
    co_await pause(kTurn);
  }
}

Result<AuthService::Identity> AuthService::identify_session(
    const SessionTable::Session& session) const {
  Identity identity{.by_cookie = true, .csrf = session.csrf};
  if (!session.key_id.empty()) {
    const Result<KeyRecord> record = keys_.find_id(session.key_id, clocks_.wall());
    if (!record) return record.error();
    identity.principal = {
        .name = record->name, .role = record->role, .key_id = record->id, .quota = record->quota};
    identity.per_minute = record->per_minute;
    return identity;
  }
  const UserSettings* user = passwords_->find(session.user);
  if (user == nullptr) return unauthenticated("the user that signed in is no longer there");
  identity.principal = {.name = user->name, .role = user->role, .quota = user->quota};
  return identity;
}

AuthService::OpenedSession AuthService::open_session(const Identity& identity) {
  const api::Principal& who = identity.principal;
  const Instant now = clocks_.steady();
  OpenedSession opened{.token =
                           sessions_.open(who.key_id.empty() ? who.name : "", who.key_id, now)};
  opened.csrf = sessions_.use(opened.token, now)->csrf.reveal();
  return opened;
}

std::optional<SessionTable::Session> AuthService::session(const Exchange& exchange) {
  return sessions_.use(cookie(exchange, session_cookie()), clocks_.steady());
}

void AuthService::close_session(const Exchange& exchange) {
  sessions_.close(cookie(exchange, session_cookie()));
}

double AuthService::sign_in_pause() const {
  const double per_minute = settings_.wrong_passwords_per_minute;
  return per_minute > 0 ? 60 / per_minute : 1;
}

std::string AuthService::session_cookie() const {
  return fmt::format("safelight_session_{}", settings_.port);
}

std::string AuthService::csrf_cookie() const {
  return fmt::format("safelight_csrf_{}", settings_.port);
}

}  // namespace safelight::http
