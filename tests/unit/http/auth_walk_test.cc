#include "http/auth/auth_routes.h"
#include "http/routes/health.h"
#include "http/routes/native.h"
#include "http/routes/openai.h"
#include "http/routes/pages.h"
#include "http/routes/sdapi.h"
#include "unit/http/auth_support.h"
#include "unit/http/route_world.h"

namespace safelight::http {
namespace {

/// Every route that the server has, behind its gatekeeper.
class AuthWalk : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    settings_.always = true;
    settings_.rate_per_minute = 0;
    add_page_routes(world_.router);
    add_health_routes(world_.router, world_.backend, metrics_, {});
    add_sdapi_routes(world_.router, world_.backend);
    add_openai_routes(world_.router, world_.backend);
    add_native_routes(world_.router, world_.backend);
    add_auth_routes(world_.router, start());
  }
  /// The routes that change something and let a key of that role in.
  std::set<std::string> changing_routes_of(api::Role role) {
    const std::string key = add_key(std::string(api::role_name(role)), {.role = role});
    pass(std::chrono::seconds(1));
    std::set<std::string> let_in;
    for (const Route& route : world_.router.routes()) {
      if (!changes_state(route.method) || route.options.access == Access::kOpen) continue;
      const Admission admission = knock(*service_, route, [&](FakeExchange& exchange) {
        exchange.with_header("X-API-Key", key);
      });
      if (!admission.refusal) let_in.insert(route.method + " " + route.pattern);
    }
    return let_in;
  }

  RouteWorld world_;
  Metrics metrics_;
};

TEST_F(AuthWalk, OnlyTheseAnswerWithoutCredentials) {
  expect_only_open(*service_, world_.router,
                   {"GET /healthz", "GET /readyz", "GET /files/{token}", "GET /login",
                    "POST /login", "POST /logout"});
}

TEST_F(AuthWalk, ForeignPagesReachNone) {
  for (const Route& route : world_.router.routes()) {
    const auto status = [&](const char* header, const char* value) {
      const Admission admission = knock(
          *service_, route, [&](FakeExchange& exchange) { exchange.with_header(header, value); });
      return admission.refusal ? admission.refusal->status : 200;
    };
    EXPECT_EQ(status("Host", "evil.example"), 421) << route.pattern;
    EXPECT_EQ(status("Origin", "http://evil.example"), 403) << route.pattern;
  }
}

TEST_F(AuthWalk, ViewersChangeNothing) {
  EXPECT_EQ(changing_routes_of(api::Role::kViewer),
            std::set<std::string>{"POST /internal/progress"})
      << "which only asks";
}

TEST_F(AuthWalk, UsersDoNotRuleTheServer) {
  const std::set<std::string> allowed = changing_routes_of(api::Role::kUser);
  EXPECT_TRUE(allowed.contains("POST /sdapi/v1/txt2img"));
  EXPECT_TRUE(allowed.contains("POST /api/v1/jobs"));
  for (const std::string& route : allowed) {
    for (const char* ruling : {"load", "options", "server-", "shutdown", "restart", "/checkpoint"})
      EXPECT_EQ(route.find(ruling), std::string::npos) << route;
  }
}

}  // namespace
}  // namespace safelight::http
