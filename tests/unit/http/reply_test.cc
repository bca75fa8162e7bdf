#include <gtest/gtest.h>

#include "base/json.h"
#include "http/exchange.h"

namespace safelight::http {
namespace {

boost::json::object parsed(const Reply& reply) { return parse_json(reply.body)->as_object(); }

TEST(Reply, JsonHasStatusAndType) {
  const Reply reply = json_reply({{"a", 1}}, 202);
  EXPECT_EQ(reply.status, 202);
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body, R"({"a":1})");
}

TEST(Reply, NativeErrorNamesCodeFieldAndRequest) {
  const Reply reply =
      error_reply({ErrorCode::kInvalidArgument, "steps is 0"}, ErrorForm::kNative, 0, "steps");
  EXPECT_EQ(reply.status, 400);
  const auto error = parsed(reply).at("error").as_object();
  EXPECT_EQ(error.at("code"), "invalid_argument");
  EXPECT_EQ(error.at("message"), "steps is 0");
  EXPECT_EQ(error.at("field"), "steps");
  EXPECT_TRUE(error.at("request_id").is_null());
  EXPECT_NE(error_body(*reply.error, "r-1").find(R"("request_id":"r-1")"), std::string::npos);
}

TEST(Reply, SdWebUiErrorHasItsFourKeys) {
  const Reply reply = error_reply({ErrorCode::kNotFound, "no sampler"}, ErrorForm::kSdWebUi);
  EXPECT_EQ(reply.status, 404);
  const auto body = parsed(reply);
  EXPECT_EQ(body.at("error"), "not_found");
  EXPECT_EQ(body.at("detail"), "no sampler");
  EXPECT_EQ(body.at("errors"), "no sampler");
  EXPECT_EQ(body.at("body"), "");
}

TEST(Reply, OpenAiErrorsAreTyped) {
  const Reply refused = error_reply({ErrorCode::kRefused, "no"}, ErrorForm::kOpenAi);
  EXPECT_EQ(refused.status, 400);
  const auto error = parsed(refused).at("error").as_object();
  EXPECT_EQ(error.at("type"), "invalid_request_error");
  EXPECT_EQ(error.at("code"), "content_policy_violation");
  EXPECT_TRUE(error.at("param").is_null());
  ASSERT_EQ(refused.headers.size(), 1U);
  EXPECT_EQ(refused.headers[0].first, "x-should-retry");
  EXPECT_EQ(refused.headers[0].second, "false");

  const Reply busy = error_reply({ErrorCode::kBusy, "later"}, ErrorForm::kOpenAi, 503);
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(parsed(busy).at("error").at("type"), "rate_limit_error");
  EXPECT_TRUE(busy.headers.empty());
}

TEST(Reply, MessagesAreEscaped) {
  const Reply reply = error_reply({ErrorCode::kInternal, "a \"b\"\n\x01"}, ErrorForm::kNative);
  EXPECT_EQ(parsed(reply).at("error").at("message"), "a \"b\"\n\x01");
}

}  // namespace
}  // namespace safelight::http
