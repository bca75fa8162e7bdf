#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/base64.h"
#include "http/auth/auth_service.h"
#include "unit/http/route_walk.h"

namespace safelight::http {

/// "password", as the test vector of argon2's reference implementation has it.
inline constexpr const char* kPasswordHash =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// A gatekeeper over a data folder of its own, with clocks that stand still.
class AuthTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    settings_.keys_file = folder_ / "keys.json";
    settings_.wrong_password_delay = std::chrono::milliseconds(0);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  AuthService& start() {
    auto made =
        AuthService::make(settings_, {[this] { return steady_; }, [this] { return wall_; }});
    EXPECT_TRUE(made.ok()) << made.error().message;
    service_ = std::move(*made);
    return *service_;
  }
  std::string add_key(const std::string& name, const KeyRecord& wish = {}) {
    KeyRecord named = wish;
    named.name = name;
    auto added = http::add_key(settings_.keys_file, named, wall_);
    EXPECT_TRUE(added.ok()) << added.error().message;
    return added->key;
  }
  void pass(std::chrono::seconds time) {
    steady_ += time;
    wall_ += time.count();
  }
  Admission admit(FakeExchange& exchange, const Route& route) {
    return run(service_->admit(exchange, route));
  }
  /// The answer's status to a request for a route; 200 when it is let in.
  int status(FakeExchange& exchange, const Route& route) {
    const Admission admission = admit(exchange, route);
    return admission.refusal ? admission.refusal->status : 200;
  }
  int status(FakeExchange&& exchange, const Route& route) { return status(exchange, route); }

  static std::string basic(const std::string& name, const std::string& password) {
    return "Basic " + base64_encode(name + ":" + password);
  }
  static std::string header_of(const std::vector<std::pair<std::string, std::string>>& headers,
                               std::string_view name) {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return "";
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("safelight_") +
       testing::UnitTest::GetInstance()->current_test_info()->test_suite_name() +
       testing::UnitTest::GetInstance()->current_test_info()->name());
  AuthSettings settings_;
  Instant steady_ = Instant{} + std::chrono::hours(1000);
  int64_t wall_ = 1'700'000'000;
  std::unique_ptr<AuthService> service_;

  const Route open_{"GET", "/healthz", {.access = Access::kOpen}, {}, {}};
  const Route view_{"GET", "/api/v1/jobs", {.access = Access::kViewer}, {}, {}};
  const Route use_{"POST", "/sdapi/v1/txt2img", {.access = Access::kUser}, {}, {}};
  const Route rule_{"POST", "/sdapi/v1/options", {.access = Access::kAdmin}, {}, {}};
  const Route socket_{"GET",
                      "/api/v1/events",
                      {.access = Access::kViewer},
                      {},
                      [](Exchange&, Socket&) -> Awaitable<void> { co_return; }};
};

}  // namespace safelight::http
