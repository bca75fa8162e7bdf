#include "http/auth/auth_routes.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <charconv>

#include "base/json.h"
#include "base/text.h"
#include "http/auth/login_page.h"

namespace safelight::http {
namespace {

namespace json = boost::json;

struct LoginForm {
  BasicCredentials credentials;
  std::string next;
};

/// One side of a pair in application/x-www-form-urlencoded.
std::string decode_form(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

void set_member(LoginForm& form, std::string_view name, std::string value) {
  std::string* member = name == "username"   ? &form.credentials.name
                        : name == "password" ? &form.credentials.password
                        : name == "next"     ? &form.next
                                             : nullptr;
  if (member != nullptr) *member = std::move(value);
}

Result<LoginForm> read_login(const Exchange& exchange) {
  const std::string type = ascii_lower(exchange.header("Content-Type"));
  LoginForm form;
  if (type.starts_with("application/json")) {
    const Result<json::value> body = parse_json(exchange.body());
    if (!body) return body.error();
    if (!body->is_object()) return Error{ErrorCode::kInvalidArgument, "the body must be an object"};
    for (const auto& [name, value] : body->get_object()) {
      if (value.is_string()) set_member(form, name, std::string(value.get_string()));
    }
  } else if (type.starts_with("application/x-www-form-urlencoded")) {
    for (std::string_view rest = exchange.body(); !rest.empty();) {
      const size_t end = std::min(rest.find('&'), rest.size());
      const std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const size_t equals = std::min(pair.find('='), pair.size());
      set_member(form, decode_form(pair.substr(0, equals)),
                 decode_form(pair.substr(std::min(equals + 1, pair.size()))));
    }
  } else {
    return Error{ErrorCode::kUnsupported,
                 "a login is application/json or application/x-www-form-urlencoded, with username "
                 "and password"};
  }
  if (form.credentials.password.empty())
    return Error{ErrorCode::kInvalidArgument, "a login needs username and password"};
  return form;
}

/// Whether a person sees the answer, not a program.
bool wants_page(const Exchange& exchange) {
  return exchange.header("Accept").find("text/html") != std::string_view::npos;
}

json::object describe(const api::Principal& who, const AuthService& auth) {
  json::object quota = {{"pictures_per_day", who.quota.pictures},
                        {"megapixel_steps_per_day", who.quota.megapixel_steps}};
  return {{"name", who.name},
          {"role", api::role_name(who.role)},
          {"key_id", who.key_id.empty() ? json::value(nullptr) : json::value(who.key_id)},
          {"quota", std::move(quota)},
          {"auth", auth.required()}};
}

Reply see_other(std::string location) {
  return {.status = 303, .headers = {{"Location", std::move(location)}}};
}

void set_cookies(Reply& reply, const Exchange& exchange, const AuthService& auth,
                 const AuthService::OpenedSession& session, int64_t seconds) {
  const std::string rest =
      fmt::format("; Path=/; Max-Age={}; SameSite=Strict{}", seconds,
                  exchange.base_url().starts_with("https://") ? "; Secure" : "");
  reply.headers.emplace_back(
      "Set-Cookie", fmt::format("{}={}; HttpOnly{}", auth.session_cookie(), session.token, rest));
  reply.headers.emplace_back("Set-Cookie",
                             fmt::format("{}={}{}", auth.csrf_cookie(), session.csrf, rest));
  reply.headers.emplace_back("Cache-Control", "no-store");
}

Reply login_fault(const Exchange& exchange, const AuthService& auth, const LoginForm& form,
                  const Error& error) {
  Reply reply = error_reply(error, ErrorForm::kNative);
  if (wants_page(exchange)) reply = login_page(form.next, error.message, reply.status);
  if (error.code == ErrorCode::kBusy)
    reply.headers.emplace_back("Retry-After", fmt::format("{:.0f}", auth.sign_in_pause() + 0.5));
  return reply;
}

Awaitable<Reply> log_in(Exchange& exchange, AuthService& auth) {
  const Result<LoginForm> form = read_login(exchange);
  if (!form) co_return login_fault(exchange, auth, {}, form.error());
  const auto identity = co_await auth.sign_in(exchange, form->credentials);
  if (!identity) co_return login_fault(exchange, auth, *form, identity.error());
  const AuthService::OpenedSession session = auth.open_session(*identity);
  json::object body = describe(identity->principal, auth);
  body["success"] = true;
  body["csrf_token"] = session.csrf;
  Reply reply = wants_page(exchange) ? see_other(safe_next(form->next)) : json_reply(body);
  set_cookies(reply, exchange, auth, session, auth.settings().session_lifetime.count());
  co_return reply;
}

Awaitable<Reply> log_out(Exchange& exchange, AuthService& auth) {
  auth.close_session(exchange);
  Reply reply = wants_page(exchange) ? see_other("login") : json_reply({{"success", true}});
  set_cookies(reply, exchange, auth, {}, 0);
  co_return reply;
}

Awaitable<Reply> tell_me(Exchange& exchange, AuthService& auth) {
  json::object body = describe(exchange.principal(), auth);
  const auto session = auth.session(exchange);
  body["csrf_token"] = session ? json::value(session->csrf.reveal()) : json::value(nullptr);
  Reply reply = json_reply(body);
  reply.headers.emplace_back("Cache-Control", "no-store");
  co_return reply;
}

}  // namespace

void add_auth_routes(Router& router, AuthService& auth) {
  constexpr size_t kMostLoginBytes = size_t{16} * 1024;
  router.get("/login", {.access = Access::kOpen, .operation = "login_page"},
             [](Exchange& exchange) -> Awaitable<Reply> {
               co_return login_page(exchange.query("next").value_or(""), "");
             });
  router.post("/login",
              {.access = Access::kOpen,
               .max_body = kMostLoginBytes,
               .accepts_any_body = true,
               .operation = "login"},
              [&auth](Exchange& exchange) { return log_in(exchange, auth); });
  router.post("/logout",
              {.access = Access::kOpen,
               .max_body = kMostLoginBytes,
               .accepts_any_body = true,
               .operation = "logout"},
              [&auth](Exchange& exchange) { return log_out(exchange, auth); });
  router.get("/api/v1/me", {.access = Access::kViewer, .rate_cost = 0, .operation = "me"},
             [&auth](Exchange& exchange) { return tell_me(exchange, auth); });
}

}  // namespace safelight::http
