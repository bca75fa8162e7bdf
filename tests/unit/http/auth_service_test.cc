#include "http/server.h"
#include "unit/http/auth_support.h"

namespace safelight::http {
namespace {

using std::chrono::seconds;

class Auth : public AuthTest {};

TEST_F(Auth, IsOffOnLoopbackUntilThereIsSomebody) {
  start();
  EXPECT_FALSE(service_->required());
  FakeExchange exchange("POST", "/sdapi/v1/options");
  const Admission admission = admit(exchange, rule_);
  ASSERT_FALSE(admission.refusal);
  EXPECT_EQ(admission.principal.name, "local");
  EXPECT_TRUE(admission.principal.is_admin());
  EXPECT_TRUE(admission.headers.empty()) << "and no limits";

  const std::string key = add_key("ann");
  EXPECT_EQ(status(FakeExchange("POST", "/"), rule_), 200);
  pass(seconds(1));
  EXPECT_EQ(status(FakeExchange("POST", "/"), rule_), 401) << "the running server has seen the key";
}

TEST_F(Auth, IsOnElsewhere) {
  settings_.address = "0.0.0.0";
  EXPECT_TRUE(start().required());
  settings_.address = "::1";
  EXPECT_FALSE(start().required());
  settings_.always = true;
  EXPECT_TRUE(start().required());
}

TEST_F(Auth, CountsWhereItReallyListens) {
  start();
  EXPECT_TRUE(service_->listens_at({"127.0.0.1", "::1"}).ok());
  EXPECT_FALSE(service_->required());
  EXPECT_EQ(service_->listens_at({"127.0.0.1", "0.0.0.0"}).error().code, ErrorCode::kForbidden);
  const std::string key = add_key("ann");
  EXPECT_TRUE(service_->listens_at({"0.0.0.0"}).ok());
  EXPECT_TRUE(service_->required()) << "whatever becomes of the key";
}

TEST_F(Auth, AServerTellsWhereItListens) {
  Router router;
  Metrics metrics;
  Server server({.address = "127.0.0.1", .port = 0}, router, start(), metrics);
  ASSERT_TRUE(server.listen().ok());
  EXPECT_EQ(server.addresses(), std::vector<std::string>{"127.0.0.1"});
}

TEST_F(Auth, NoRouteButOpenOnesAnswersWithoutCredentials) {
  settings_.users = {{.name = "bob", .password = kPasswordHash}};
  settings_.rate_per_minute = 0;
  Router router;
  const Handler nothing = [](Exchange&) -> Awaitable<Reply> { co_return Reply{}; };
  router.get("/healthz", {.access = Access::kOpen}, nothing);
  router.get("/thumbs/{name*}", {.access = Access::kViewer}, nothing);
  router.post("/jobs/{id}/x", {}, nothing);
  router.put("/options", {.access = Access::kAdmin}, nothing);
  router.remove("/jobs/{id}", {}, nothing);
  router.socket("/events", {.access = Access::kViewer}, socket_.socket);
  expect_only_open(start(), router, {"GET /healthz"});
  EXPECT_EQ(sample_path("/thumbs/{name*}/{id}"), "/thumbs/x/x");
  EXPECT_NE(route_table(router).find("SOCKET\t/events\tviewer\t1\t-\n"), std::string::npos);
  EXPECT_NE(route_table(router).find("GET\t/healthz\topen\t1\t-\n"), std::string::npos);
}

TEST_F(Auth, KeysComeInThreeHeadersAndNeverInUrls) {
  const std::string key = add_key("ann", {.quota = {.pictures = 5}});
  start();
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"Authorization", "Bearer " + key},
                                                        {"Authorization", "bearer  " + key},
                                                        {"X-API-Key", key},
                                                        {"Authorization", basic("anything", key)},
                                                        {"Authorization", basic("", key)}}) {
    FakeExchange exchange("POST", "/");
    const Admission admission = admit(exchange.with_header(name, value), use_);
    ASSERT_FALSE(admission.refusal) << name << ": " << value;
    EXPECT_EQ(admission.principal.name, "ann");
    EXPECT_EQ(admission.principal.role, api::Role::kUser);
    EXPECT_EQ(admission.principal.quota.pictures, 5);
    EXPECT_EQ(admission.principal.key_id, key_digest(key).substr(0, 12));
  }
  EXPECT_EQ(
      status(FakeExchange("POST", "/").with_query("key", key).with_query("api_key", key), use_),
      401);
  for (const std::string& bad : std::vector<std::string>{
           "Bearer", "Bearer ", "Bearer sl_", "Basic", "Basic !!!",
           "Basic " + base64_encode("no colon"), key, "Digest " + key, "Bearer" + key})
    EXPECT_EQ(status(FakeExchange("POST", "/").with_header("Authorization", bad), use_), 401)
        << bad;
}

TEST_F(Auth, AKeyEndsWhenItIsRevokedOrExpires) {
  const std::string revoked = add_key("ann");
  const std::string expiring = add_key("bob", {.expires = wall_ + 5});
  start();
  const auto ask = [&](const std::string& key) {
    return status(FakeExchange("GET", "/").with_header("X-API-Key", key), view_);
  };
  EXPECT_EQ(ask(revoked), 200);
  EXPECT_EQ(ask(expiring), 200);
  ASSERT_TRUE(revoke_key(settings_.keys_file, "ann", wall_).ok());
  pass(seconds(1));
  EXPECT_EQ(ask(revoked), 401);
  pass(seconds(4));
  EXPECT_EQ(ask(expiring), 401);
  EXPECT_EQ(read_keys(settings_.keys_file)->back().last_used, wall_ - 5)
      << "its use is written down";
}

TEST_F(Auth, RolesReachAsFarAsTheyDo) {
  const std::string viewer = add_key("v", {.role = api::Role::kViewer});
  const std::string user = add_key("u", {.role = api::Role::kUser});
  const std::string admin = add_key("a", {.role = api::Role::kAdmin});
  start();
  const auto ask = [&](const std::string& key, const Route& route) {
    return status(FakeExchange(route.method, "/").with_header("X-API-Key", key), route);
  };
  const std::vector<std::vector<int>> expected = {
      {200, 200, 403, 403}, {200, 200, 200, 403}, {200, 200, 200, 200}};
  const std::vector<const Route*> routes = {&open_, &view_, &use_, &rule_};
  const std::vector<std::string> keys = {viewer, user, admin};
  for (size_t k = 0; k < keys.size(); ++k) {
    for (size_t r = 0; r < routes.size(); ++r)
      EXPECT_EQ(ask(keys[k], *routes[r]), expected[k][r]) << k << " at " << routes[r]->pattern;
  }
}

TEST_F(Auth, PasswordsAreCheckedOnceAMinute) {
  settings_.users = {{.name = "bob", .password = kPasswordHash, .role = api::Role::kUser}};
  start();
  for (int i = 0; i < 3; ++i) {
    FakeExchange exchange("POST", "/");
    const auto admission =
        admit(exchange.with_header("Authorization", basic("bob", "password")), use_);
    ASSERT_FALSE(admission.refusal);
    EXPECT_EQ(admission.principal.name, "bob");
    EXPECT_EQ(admission.principal.key_id, "");
    EXPECT_EQ(exchange.blocking_calls, i == 0 ? 2 : 0) << "the keys' file, and argon2id, once";
  }
  pass(seconds(60));
  FakeExchange later("POST", "/");
  EXPECT_EQ(status(later.with_header("Authorization", basic("bob", "password")), use_), 200);
  EXPECT_EQ(later.blocking_calls, 2);
  EXPECT_EQ(status(FakeExchange("POST", "/").with_header("Authorization", basic("bob", "Password")),
                   use_),
            401);
  EXPECT_EQ(status(FakeExchange("POST", "/").with_header("Authorization", basic("eve", "password")),
                   use_),
            401);
}

TEST_F(Auth, WrongPasswordsRunOutByAddress) {
  settings_.users = {{.name = "bob", .password = kPasswordHash}};
  settings_.wrong_passwords_per_minute = 3;
  start();
  const auto ask = [&](const std::string& from, const std::string& password) {
    FakeExchange exchange("POST", "/");
    exchange.from(from).with_header("Authorization", basic("bob", password));
    return admit(exchange, use_);
  };
  for (int i = 0; i < 5; ++i)
    EXPECT_FALSE(ask("192.0.2.1", "password").refusal) << "right ones are free";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("192.0.2.1", "x").refusal->status, 401);
  const Admission busy = ask("192.0.2.1", "x");
  EXPECT_EQ(busy.refusal->status, 429);
  EXPECT_EQ(header_of(busy.refusal->headers, "Retry-After"), "20");
  EXPECT_FALSE(ask("192.0.2.1", "password").refusal) << "whose password is remembered goes on";
  EXPECT_EQ(ask("192.0.2.2", "x").refusal->status, 401) << "others are not hindered";
  pass(seconds(20));
  EXPECT_EQ(ask("192.0.2.1", "x").refusal->status, 401);
}

TEST_F(Auth, RatesAreLimitedBeforeTheWork) {
  const std::string key = add_key("ann"), fast = add_key("bob", {.per_minute = 1000});
  settings_.rate_per_minute = 10;
  start();
  const auto ask = [&](const std::string& from, const std::string& k) {
    FakeExchange exchange("POST", "/");
    exchange.from(from).with_header("X-API-Key", k);
    return admit(exchange, use_);
  };
  for (int i = 0; i < 5; ++i) {
    const Admission admission = ask("192.0.2.1", key);
    ASSERT_FALSE(admission.refusal);
    EXPECT_EQ(header_of(admission.headers, "RateLimit-Limit"), "10");
    EXPECT_EQ(header_of(admission.headers, "RateLimit-Remaining"), std::to_string(9 - i));
    EXPECT_EQ(header_of(admission.headers, "RateLimit-Reset"), std::to_string(6 * (i + 1)));
  }
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(ask("192.0.2.2", key).refusal);
  const Admission by_key = ask("192.0.2.3", key);
  ASSERT_TRUE(by_key.refusal) << "a key is one principal, wherever it comes from";
  EXPECT_EQ(by_key.refusal->status, 429);
  EXPECT_EQ(header_of(by_key.refusal->headers, "Retry-After"), "6");
  EXPECT_EQ(header_of(by_key.headers, "RateLimit-Remaining"), "0");
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(ask("192.0.2.4", fast).refusal) << i;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask("192.0.2.5", "sl_wrong").refusal->status, 401);
  EXPECT_EQ(ask("192.0.2.5", "sl_wrong").refusal->status, 429);
}

TEST_F(Auth, FreeRoutesAreFree) {
  const std::string key = add_key("ann");
  settings_.rate_per_minute = 2;
  start();
  Route progress = view_;
  progress.options.rate_cost = 0;
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(status(FakeExchange("GET", "/").with_header("X-API-Key", key), progress), 200);
}

TEST_F(Auth, ForeignPagesAreKeptOutAlsoWithoutAuth) {
  start();
  EXPECT_EQ(status(FakeExchange("GET", "/").with_header("Host", "evil.example"), open_), 421);
  EXPECT_EQ(status(FakeExchange("POST", "/").with_header("Origin", "http://evil.example"), use_),
            403);
  EXPECT_EQ(status(FakeExchange("GET", "/").with_header("Origin", "http://evil.example"), socket_),
            403);
  EXPECT_EQ(status(FakeExchange("POST", "/").with_header("Sec-Fetch-Site", "cross-site"), use_),
            403);
  EXPECT_EQ(status(FakeExchange("GET", "/").with_header("Sec-Fetch-Site", "cross-site"), socket_),
            403);
  EXPECT_EQ(status(FakeExchange("POST", "/").with_header("Origin", "http://127.0.0.1:7860"), use_),
            200);
}

TEST_F(Auth, RefusalsSpeakTheRoutesLanguage) {
  settings_.always = true;
  start();
  Route openai = use_;
  openai.options.errors = ErrorForm::kOpenAi;
  FakeExchange exchange("POST", "/");
  const Admission admission = admit(exchange, openai);
  ASSERT_TRUE(admission.refusal);
  EXPECT_NE(admission.refusal->body.find("authentication_error"), std::string::npos);
  EXPECT_EQ(header_of(admission.refusal->headers, "WWW-Authenticate"),
            "Basic realm=\"Safelight\", charset=\"UTF-8\", Bearer realm=\"Safelight\"");
}

TEST_F(Auth, BrowsersAreSentToTheLoginPage) {
  settings_.always = true;
  start();
  FakeExchange page("GET", "/gallery/a b?");
  page.under("/sd")
      .with_header("Accept", "text/html,*/*")
      .with_header("Sec-Fetch-Mode", "navigate");
  const Admission admission = admit(page, view_);
  ASSERT_TRUE(admission.refusal);
  EXPECT_EQ(admission.refusal->status, 303);
  EXPECT_EQ(header_of(admission.refusal->headers, "Location"),
            "/sd/login?next=/sd/gallery/a%20b%3F");
  FakeExchange script("GET", "/");
  const Admission fetched = admit(script.with_header("Sec-Fetch-Mode", "cors"), view_);
  EXPECT_EQ(fetched.refusal->status, 401);
  EXPECT_EQ(header_of(fetched.refusal->headers, "WWW-Authenticate"), "Bearer realm=\"Safelight\"")
      << "no window of the browser's own";
}

}  // namespace
}  // namespace safelight::http
