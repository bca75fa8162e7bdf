#include <gtest/gtest.h>

#include <stdexcept>

#include "http/exchange.h"

namespace safelight::http {
namespace {

Handler no_handler() {
  return [](Exchange&) -> Awaitable<Reply> { co_return Reply{}; };
}

SocketHandler no_socket() {
  return [](Exchange&, Socket&) -> Awaitable<void> { co_return; };
}

/// The pattern that answers, with its parameters: "/jobs/{id} id=1".
std::string found(const Router& router, std::string_view method, std::string_view path,
                  bool upgrade = false) {
  const Router::Match match = router.find(method, path, upgrade);
  if (match.route == nullptr) return match.path_known ? "405 " + match.allow : "404";
  std::string text = (match.route->socket ? "socket " : "") + match.route->pattern;
  for (const auto& [name, value] : match.params) text += " " + name + "=" + value;
  return text;
}

TEST(Router, FindsLiteralsParametersAndRests) {
  Router router;
  router.get("/", {}, no_handler());
  router.get("/{file*}", {}, no_handler());
  router.get("/jobs/{id}", {}, no_handler());
  router.get("/jobs/{id}/events", {}, no_handler());
  router.get("/jobs/active", {}, no_handler());
  EXPECT_EQ(found(router, "GET", "/"), "/");
  EXPECT_EQ(found(router, "GET", "/jobs/17"), "/jobs/{id} id=17");
  EXPECT_EQ(found(router, "GET", "/jobs/17/"), "/jobs/{id} id=17");
  EXPECT_EQ(found(router, "GET", "/jobs/active"), "/jobs/active");
  EXPECT_EQ(found(router, "GET", "/jobs/active/events"), "/jobs/{id}/events id=active");
  EXPECT_EQ(found(router, "GET", "/jobs/17/x/y"), "/{file*} file=jobs/17/x/y");
  EXPECT_EQ(found(router, "GET", "/style.css"), "/{file*} file=style.css");
  EXPECT_EQ(found(router, "GET", "/jobs//events"), "/{file*} file=jobs//events");
  EXPECT_EQ(found(router, "GET", "jobs/17"), "404");
  EXPECT_EQ(found(router, "GET", ""), "404");
}

TEST(Router, ARestMayBeEmpty) {
  Router router;
  router.get("/static/{file*}", {}, no_handler());
  EXPECT_EQ(found(router, "GET", "/static/"), "/static/{file*} file=");
  EXPECT_EQ(found(router, "GET", "/static"), "/static/{file*} file=");
  EXPECT_EQ(found(router, "GET", "/statics"), "404");
}

TEST(Router, ParametersAreNeverEmpty) {
  Router router;
  router.get("/jobs/{id}/events", {}, no_handler());
  EXPECT_EQ(found(router, "GET", "/jobs//events"), "404");
}

TEST(Router, OrderOfRegistrationDoesNotCount) {
  Router router;
  router.get("/a/{x}", {}, no_handler());
  router.get("/a/b", {}, no_handler());
  EXPECT_EQ(found(router, "GET", "/a/b"), "/a/b");
}

TEST(Router, TellsTheMethodsOfAPath) {
  Router router;
  router.get("/jobs/{id}", {}, no_handler());
  router.remove("/jobs/{id}", {}, no_handler());
  router.post("/jobs", {}, no_handler());
  EXPECT_EQ(found(router, "PUT", "/jobs/1"), "405 DELETE, GET, HEAD");
  EXPECT_EQ(found(router, "GET", "/jobs"), "405 POST");
  EXPECT_EQ(found(router, "HEAD", "/jobs/1"), "/jobs/{id} id=1");
  EXPECT_EQ(found(router, "HEAD", "/jobs"), "405 POST");
  EXPECT_EQ(found(router, "get", "/jobs/1"), "405 DELETE, GET, HEAD");
}

TEST(Router, ALooserPatternWithTheMethodIsFound) {
  Router router;
  router.get("/jobs/active", {}, no_handler());
  router.remove("/jobs/{id}", {}, no_handler());
  EXPECT_EQ(found(router, "DELETE", "/jobs/active"), "/jobs/{id} id=active");
}

TEST(Router, SocketAndGetShareAPath) {
  Router router;
  router.get("/events", {}, no_handler());
  router.socket("/events", {}, no_socket());
  router.socket("/only", {}, no_socket());
  EXPECT_EQ(found(router, "GET", "/events"), "/events");
  EXPECT_EQ(found(router, "GET", "/events", true), "socket /events");
  EXPECT_EQ(found(router, "GET", "/only"), "socket /only");
}

TEST(Router, RefusesBadAndDoublePatterns) {
  Router router;
  router.get("/a/{x}", {}, no_handler());
  EXPECT_THROW(router.get("/a/{y}", {}, no_handler()), std::logic_error);
  EXPECT_THROW(router.get("/a/{x*}/b", {}, no_handler()), std::logic_error);
  EXPECT_THROW(router.get("/a//b", {}, no_handler()), std::logic_error);
  EXPECT_THROW(router.get("a", {}, no_handler()), std::logic_error);
  EXPECT_EQ(router.routes().size(), 1U);
}

}  // namespace
}  // namespace safelight::http
