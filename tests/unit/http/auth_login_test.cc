#include <boost/json/parse.hpp>

#include "http/auth/auth_routes.h"
#include "http/auth/login_page.h"
#include "unit/http/auth_support.h"

namespace safelight::http {
namespace {

using std::chrono::seconds;

class Login : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    settings_.users = {{.name = "bob", .password = kPasswordHash, .role = api::Role::kUser}};
  }
  /// The answer of the gatekeeper and, where it lets in, of the route's handler.
  Reply ask(FakeExchange& exchange) {
    const auto match = router().find(exchange.method(), exchange.path());
    EXPECT_NE(match.route, nullptr);
    Admission admission = admit(exchange, *match.route);
    if (admission.refusal) return *admission.refusal;
    exchange.as(admission.principal);
    return run(match.route->handler(exchange));
  }
  Reply ask(FakeExchange&& exchange) { return ask(exchange); }
  Reply log_in(const std::string& name, const std::string& password) {
    FakeExchange exchange("POST", "/login");
    exchange.with_body("{\"username\":\"" + name + "\",\"password\":\"" + password + "\"}");
    return ask(exchange);
  }
  Router& router() {
    if (!router_) {
      router_.emplace();
      add_auth_routes(*router_, start());
    }
    return *router_;
  }
  /// What a browser sends back of the answer's cookies.
  static std::string cookies(const Reply& reply) {
    std::string all;
    for (const auto& [name, value] : reply.headers) {
      if (name == "Set-Cookie") all += (all.empty() ? "" : "; ") + value.substr(0, value.find(';'));
    }
    return all;
  }
  static std::string csrf(const Reply& reply) {
    return boost::json::parse(reply.body).at("csrf_token").as_string().c_str();
  }

  std::optional<Router> router_;
};

TEST_F(Login, ASessionSignsABrowserIn) {
  const Reply reply = log_in("bob", "password");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const std::string cookie = cookies(reply), token = csrf(reply);
  FakeExchange look("GET", "/");
  const Admission seen = admit(look.with_header("Cookie", "a=b; " + cookie), view_);
  ASSERT_FALSE(seen.refusal);
  EXPECT_EQ(seen.principal.name, "bob");
  EXPECT_EQ(seen.principal.role, api::Role::kUser);

  const auto change = [&](const std::string& csrf_token) {
    return status(FakeExchange("POST", "/")
                      .with_header("Cookie", cookie)
                      .with_header("X-CSRF-Token", csrf_token),
                  use_);
  };
  EXPECT_EQ(change(token), 200);
  EXPECT_EQ(change(""), 403) << "a form of another site cannot know the token";
  EXPECT_EQ(change(token + "x"), 403);
  EXPECT_EQ(change(csrf(log_in("bob", "password"))), 403) << "nor another session's";
}

TEST_F(Login, SocketsOfASessionNeedOurOrigin) {
  const std::string cookie = cookies(log_in("bob", "password"));
  FakeExchange bare("GET", "/");
  bare.with_header("Cookie", cookie);
  EXPECT_EQ(status(bare, socket_), 403);
  EXPECT_EQ(status(bare.with_header("Origin", "http://127.0.0.1:7860"), socket_), 200);
  EXPECT_EQ(status(bare.with_header("Origin", "http://evil.example"), socket_), 403);
}

TEST_F(Login, CookiesAreOfThisSiteAlone) {
  const Reply plain = log_in("bob", "password");
  const std::string session = plain.headers.at(0).second, token = plain.headers.at(1).second;
  EXPECT_TRUE(session.starts_with("safelight_session_7860="));
  EXPECT_NE(session.find("; HttpOnly; Path=/; Max-Age=1209600; SameSite=Strict"),
            std::string::npos);
  EXPECT_EQ(session.find("Secure"), std::string::npos);
  EXPECT_EQ(token.find("HttpOnly"), std::string::npos) << "a page of ours reads it";
  FakeExchange encrypted("POST", "/login");
  encrypted.over_tls().with_body(R"({"username":"bob","password":"password"})");
  const Reply reply = ask(encrypted);
  for (const auto& [name, value] : reply.headers) {
    if (name == "Set-Cookie") {
      EXPECT_TRUE(value.ends_with("; Secure")) << value;
    }
  }
}

TEST_F(Login, WrongPasswordsOpenNothing) {
  for (const auto& [name, password] : std::vector<std::pair<std::string, std::string>>{
           {"bob", "Password"}, {"eve", "password"}, {"", "password"}, {"bob", "sl_guess"}}) {
    const Reply reply = log_in(name, password);
    EXPECT_EQ(reply.status, 401) << name;
    EXPECT_EQ(cookies(reply), "");
    EXPECT_NE(reply.body.find("password is wrong"), std::string::npos) << reply.body;
  }
  EXPECT_EQ(log_in("bob", "").status, 400);
  EXPECT_EQ(ask(FakeExchange("POST", "/login").with_body("{")).status, 400);
  EXPECT_EQ(ask(FakeExchange("POST", "/login").with_body("[]")).status, 400);
  EXPECT_EQ(ask(FakeExchange("POST", "/login").with_body("x", "text/plain")).status, 422);
}

TEST_F(Login, AKeySignsInAndItsEndEndsTheSession) {
  const std::string key = add_key("ann");
  const std::string cookie = cookies(log_in("", key));
  FakeExchange look("GET", "/");
  look.with_header("Cookie", cookie);
  EXPECT_EQ(admit(look, view_).principal.name, "ann");
  ASSERT_TRUE(revoke_key(settings_.keys_file, "ann", wall_).ok());
  pass(seconds(1));
  EXPECT_EQ(status(look, view_), 401);
}

TEST_F(Login, SessionsEnd) {
  const std::string cookie = cookies(log_in("bob", "password"));
  FakeExchange look("GET", "/");
  look.with_header("Cookie", cookie);
  EXPECT_EQ(status(look, view_), 200);
  const Reply out = ask(FakeExchange("POST", "/logout").with_header("Cookie", cookie));
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(cookies(out), "safelight_session_7860=; safelight_csrf_7860=");
  EXPECT_EQ(status(look, view_), 401);
  look.with_header("Cookie", cookies(log_in("bob", "password")));
  pass(settings_.session_idle);
  EXPECT_EQ(status(look, view_), 401);
}

TEST_F(Login, FormsOfPeopleWork) {
  FakeExchange exchange("POST", "/login");
  exchange.with_header("Accept", "text/html,application/xhtml+xml")
      .with_body("username=bob&next=%2Fgallery%2Fa+b%26&password=%70assword",
                 "application/x-www-form-urlencoded");
  const Reply odd = ask(exchange);
  EXPECT_EQ(odd.status, 303);
  EXPECT_EQ(header_of(odd.headers, "Location"), "./") << "a space is no part of a path";
  EXPECT_NE(cookies(odd), "");
  exchange.with_body("username=bob&next=%2Fgallery%2F&password=password",
                     "application/x-www-form-urlencoded");
  EXPECT_EQ(header_of(ask(exchange).headers, "Location"), "/gallery/");
  exchange.with_body("username=bob&password=%&next=/x", "application/x-www-form-urlencoded");
  const Reply again = ask(exchange);
  EXPECT_EQ(again.status, 401);
  EXPECT_NE(again.body.find("password is wrong"), std::string::npos);
  EXPECT_NE(again.body.find(R"(value="/x")"), std::string::npos);
}

TEST_F(Login, NeverLeadsElsewhere) {
  for (const char* bad : {"", "//evil.example", "https://evil.example", "/\\evil.example", "x",
                          "/a\r\nSet-Cookie: a=b", "javascript:alert(1)", "/ /evil"})
    EXPECT_EQ(safe_next(bad), "./") << bad;
  EXPECT_EQ(safe_next("/a?b=c"), "/a?b=c");
}

TEST_F(Login, ThePageHoldsNothingForeign) {
  FakeExchange exchange("GET", "/login");
  exchange.with_query("next", "/\"><script>alert(1)</script>");
  const Reply page = ask(exchange);
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body.find("<script"), std::string::npos);
  EXPECT_EQ(page.body.find("http://"), std::string::npos);
  EXPECT_EQ(page.body.find("https://"), std::string::npos);
  const std::string policy = header_of(page.headers, "Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; style-src 'nonce-")) << policy;
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_NE(policy, header_of(ask(exchange).headers, "Content-Security-Policy"));
  EXPECT_EQ(login_page("/", "<b>").body.find("<b>"), std::string::npos);
}

TEST_F(Login, ForeignFormsCannotSignAnybodyIn) {
  FakeExchange exchange("POST", "/login");
  exchange.with_header("Origin", "http://evil.example")
      .with_body(R"({"username":"bob","password":"password"})");
  EXPECT_EQ(ask(exchange).status, 403);
}

TEST_F(Login, MeTellsWhoIAm) {
  const Reply reply = log_in("bob", "password");
  EXPECT_EQ(ask(FakeExchange("GET", "/api/v1/me")).status, 401);
  const Reply me = ask(FakeExchange("GET", "/api/v1/me").with_header("Cookie", cookies(reply)));
  const auto body = boost::json::parse(me.body);
  EXPECT_EQ(body.at("name").as_string(), "bob");
  EXPECT_EQ(body.at("role").as_string(), "user");
  EXPECT_EQ(body.at("csrf_token").as_string(), csrf(reply));
  EXPECT_EQ(body.at("auth").as_bool(), true);
}

TEST_F(Login, BasicOfAProxyDoesNotHideTheSession) {
  const std::string cookie = cookies(log_in("bob", "password"));
  FakeExchange exchange("GET", "/");
  exchange.with_header("Cookie", cookie).with_header("Authorization", basic("proxy", "its own"));
  EXPECT_EQ(admit(exchange, view_).principal.name, "bob");
}

}  // namespace
}  // namespace safelight::http
