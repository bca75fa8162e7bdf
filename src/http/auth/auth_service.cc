#include "http/auth/auth_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "base/log.h"
#include "http/auth/address.h"
#include "http/auth/exposure.h"

namespace safelight::http {
namespace {

constexpr double kDefaultPerMinute = 300;

std::string whole_seconds(double seconds) {
  return fmt::format("{:.0f}", std::max(0.0, std::ceil(seconds)));
}

/// The subpath under which the client reached the server: "/sd", or nothing.
std::string prefix_of(const Exchange& exchange) {
  const std::string url = exchange.base_url();
  const size_t slash = url.find('/', url.find("://") + 3);
  return slash == std::string::npos ? "" : url.substr(slash);
}

/// A decoded path as it may stand in a query.
std::string encoded(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain)
      text += c;
    else
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> rate_headers(const RateLimiter::Verdict& rate) {
  if (rate.limit <= 0) return {};
  return {{"RateLimit-Limit", fmt::format("{:.0f}", rate.limit)},
          {"RateLimit-Remaining", fmt::format("{:.0f}", std::floor(rate.remaining))},
          {"RateLimit-Reset", whole_seconds(rate.reset)}};
}

}  // namespace

AuthService::Refusal AuthService::too_fast(const RateLimiter::Verdict& rate) {
  return {{ErrorCode::kBusy,
           fmt::format("more than {:.10g} requests a minute; the next is answered in {} s",
                       rate.limit, whole_seconds(rate.retry_after))},
          0,
          rate.retry_after};
}

Result<std::unique_ptr<AuthService>> AuthService::make(AuthSettings settings, AuthClocks clocks) {
  if (!clocks.steady) clocks.steady = [] { return std::chrono::steady_clock::now(); };
  if (!clocks.wall) clocks.wall = [] { return static_cast<int64_t>(std::time(nullptr)); };
  Result<std::unique_ptr<PasswordBook>> passwords = PasswordBook::make(settings.users);
  if (!passwords) return passwords.error();
  std::unique_ptr<AuthService> service(
      new AuthService(std::move(settings), std::move(clocks), std::move(*passwords)));
  if (Status read = service->keys_.refresh(); !read) return read.error();
  return service;
}

AuthService::AuthService(AuthSettings settings, AuthClocks clocks,
                         std::unique_ptr<PasswordBook> passwords)
    : settings_(std::move(settings)),
      clocks_(std::move(clocks)),
      origins_(settings_),
      passwords_(std::move(passwords)),
      always_(settings_.always || !passwords_->empty() || !is_local(settings_.address)),
      keys_(settings_.keys_file),
      sessions_(settings_.session_lifetime, settings_.session_idle),
      by_address_(settings_.rate_per_minute.value_or(kDefaultPerMinute)),
      by_principal_(settings_.rate_per_minute.value_or(kDefaultPerMinute)),
      wrong_passwords_(settings_.wrong_passwords_per_minute) {}

Status AuthService::listens_at(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    if (Status exposed = check_exposure(address, settings_); !exposed) return exposed;
    if (!is_local(address)) always_ = true;
  }
  return {};
}

bool AuthService::required() const { return always_ || keys_.any(); }

Awaitable<Admission> AuthService::admit(Exchange& exchange, const Route& route) {
  try {
    co_return co_await decide(exchange, route);
  } catch (const std::exception& bug) {
    spdlog::error("who asks could not be found out: {}", bug.what());
  }
  Admission refused;
  refused.refusal = error_reply({ErrorCode::kInternal, "internal error; see the server's log"},
                                route.options.errors);
  co_return refused;
}

Awaitable<Admission> AuthService::decide(Exchange& exchange, const Route& route) {
  Admission admission{.principal = {.name = "", .role = api::Role::kViewer}};
  const auto refuse_by = [&](const Refusal& refusal) {
    admission.refusal = refuse(exchange, route, refusal);
    return admission;
  };
  if (auto refusal = check_source(exchange, route)) co_return refuse_by(*refusal);
  co_await refresh_keys(exchange);
  const bool limited = required() || settings_.rate_per_minute.has_value();
  const double cost = limited ? route.options.rate_cost : 0;
  const std::string address = limit_key(exchange.client_address());
  const RateLimiter::Verdict rate = by_address_.take(address, cost, clocks_.steady());
  admission.headers = rate_headers(rate);
  if (!rate.allowed) co_return refuse_by(too_fast(rate));
  if (!required()) {
    admission.principal = {};
    co_return admission;
  }
  if (route.options.access == Access::kOpen) co_return admission;

  const Result<Identity> identity = co_await authenticate(exchange);
  if (!identity) co_return refuse_by({identity.error(), 0, sign_in_pause()});
  if (auto refusal = check_rights(exchange, route, *identity)) co_return refuse_by(*refusal);
  const api::Principal& who = identity->principal;
  const std::string key = who.key_id.empty() ? "user:" + who.name : "key:" + who.key_id;
  // A key with a rate of its own may come faster than an address may.
  if (identity->per_minute > 0) by_address_.give_back(address, cost);
  const auto own = by_principal_.take(key, cost, clocks_.steady(), identity->per_minute);
  if (identity->per_minute > 0 || !own.allowed || own.remaining < rate.remaining)
    admission.headers = rate_headers(own);
  if (!own.allowed) co_return refuse_by(too_fast(own));
  admission.principal = who;
  co_return admission;
}

std::optional<AuthService::Refusal> AuthService::check_source(const Exchange& exchange,
                                                              const Route& route) const {
  const auto fault = origins_.check({.host = exchange.header("Host"),
                                     .origin = exchange.header("Origin"),
                                     .site = exchange.header("Sec-Fetch-Site"),
                                     .changes = changes_state(exchange.method()),
                                     .socket = static_cast<bool>(route.socket)});
  if (!fault) return std::nullopt;
  return Refusal{{ErrorCode::kForbidden, fault->message}, fault->status};
}

std::optional<AuthService::Refusal> AuthService::check_rights(const Exchange& exchange,
                                                              const Route& route,
                                                              const Identity& identity) const {
  const api::Role role = identity.principal.role;
  const Access access = route.options.access;
  const bool enough = access == Access::kOpen || access == Access::kViewer ||
                      (access == Access::kUser && role != api::Role::kViewer) ||
                      (access == Access::kAdmin && role == api::Role::kAdmin);
  if (!enough) {
    return Refusal{
        {ErrorCode::kForbidden,
         fmt::format("'{}' has the role {}; this needs the role {}", identity.principal.name,
                     api::role_name(role), access == Access::kAdmin ? "admin" : "user")}};
  }
  if (!identity.by_cookie) return std::nullopt;
  // A browser sends the cookie by itself. Only a page of ours can read the token.
  if (changes_state(exchange.method()) && !identity.csrf.equals(exchange.header("X-CSRF-Token"))) {
    return Refusal{{ErrorCode::kForbidden,
                    "the header X-CSRF-Token must repeat the session's token; GET /api/v1/me tells "
                    "it"}};
  }
  if (route.socket && exchange.header("Origin").empty())
    return Refusal{{ErrorCode::kForbidden, "a socket that a cookie opens needs the Origin header"}};
  return std::nullopt;
}

Reply AuthService::refuse(const Exchange& exchange, const Route& route,
                          const Refusal& refusal) const {
  Reply reply = error_reply(refusal.error, route.options.errors, refusal.status);
  if (refusal.error.code == ErrorCode::kBusy)
    reply.headers.emplace_back("Retry-After", whole_seconds(std::max(1.0, refusal.retry_after)));
  if (refusal.error.code != ErrorCode::kUnauthenticated) return reply;
  const std::string_view mode = exchange.header("Sec-Fetch-Mode");
  const bool page =
      mode == "navigate" || (mode.empty() && exchange.header("Accept").starts_with("text/html"));
  if (page && exchange.method() == "GET") {
    // Without scheme and host, which a proxy may have changed.
    const std::string prefix = prefix_of(exchange);
    return {.status = 303,
            .headers = {{"Location", fmt::format("{}/login?next={}{}", prefix, prefix,
                                                 encoded(exchange.path()))},
                        {"Cache-Control", "no-store"}}};
  }
  // Asked for Basic, a browser would interrupt a page's own requests with a window of its own.
  const bool script = !mode.empty();
  reply.headers.emplace_back(
      "WWW-Authenticate",
      script ? R"(Bearer realm="Safelight")"
             : R"(Basic realm="Safelight", charset="UTF-8", Bearer realm="Safelight")");
  return reply;
}

}  // namespace safelight::http
