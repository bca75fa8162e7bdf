// What browsers and proxies need: CORS, compression, headers that guard pages, forwarded requests.
#include <gtest/gtest.h>
#include <zlib.h>

#include "http/gzip.h"
#include "live_server.h"

namespace safelight::http {
namespace {

std::string unpacked(const std::string& packed) {
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  std::string text(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const int state = inflate(&stream, Z_FINISH);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return state == Z_STREAM_END ? text : "bad gzip";
}

Handler answers(Reply reply) {
  return [reply = std::move(reply)](Exchange&) -> Awaitable<Reply> { co_return reply; };
}

struct BrowserTest : testing::Test {
  LiveServer server;
};

TEST_F(BrowserTest, CorsIsOffByDefault) {
  server.router.get("/a", {}, echo());
  server.start();
  const Answer answer = ask(server, request("GET", "/a", "Origin: https://page.example\r\n"));
  EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "");
  const Answer preflight = ask(server, request("OPTIONS", "/a",
                                               "Origin: https://page.example\r\n"
                                               "Access-Control-Request-Method: GET\r\n"));
  EXPECT_EQ(preflight.header("Access-Control-Allow-Methods"), "");
}

TEST_F(BrowserTest, CorsLetsExactOriginsIn) {
  server.options.cors_origins = {"https://page.example"};
  server.router.post("/a", {}, echo());
  server.start();
  const Answer preflight = ask(server, request("OPTIONS", "/a",
                                               "Origin: https://page.example\r\n"
                                               "Access-Control-Request-Method: POST\r\n"
                                               "Access-Control-Request-Headers: content-type\r\n"));
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.header("Access-Control-Allow-Origin"), "https://page.example");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Methods"), "POST");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Headers"), "content-type");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Credentials"), "");
  const Answer answer = ask(server, request("POST", "/a", "Origin: https://page.example\r\n"));
  EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://page.example");
  EXPECT_NE(answer.header("Vary").find("Origin"), std::string::npos);
  for (const char* other : {"https://page.example.org", "http://page.example", "null",
                            "https://PAGE.example", "https://page.example:8443"}) {
    const Answer refused =
        ask(server, request("POST", "/a", "Origin: " + std::string(other) + "\r\n"));
    EXPECT_EQ(refused.header("Access-Control-Allow-Origin"), "") << other;
    EXPECT_NE(refused.header("Vary").find("Origin"), std::string::npos);
  }
}

TEST_F(BrowserTest, LongTextIsPackedForThoseWhoTakeIt) {
  const std::string text(5000, 'a');
  const std::string long_text(500'000, 'b');
  server.router.get("/long", {}, answers({.headers = {{"ETag", "\"x\""}}, .body = text}));
  server.router.get("/longer", {}, answers({.body = long_text}));
  server.router.get("/short", {}, answers({.body = "{}"}));
  server.router.get("/picture", {}, answers({.content_type = "image/png", .body = text}));
  server.start();
  RawClient client(server.port);
  const std::string take = "Accept-Encoding: br, gzip;q=0.5\r\n";
  const Answer packed = client.ask(request("GET", "/long", take));
  EXPECT_EQ(packed.header("Content-Encoding"), "gzip");
  EXPECT_EQ(packed.header("Vary"), "Accept-Encoding");
  EXPECT_EQ(packed.header("ETag"), "W/\"x\"");
  EXPECT_LT(packed.body.size(), 200U);
  EXPECT_EQ(unpacked(packed.body), text);
  EXPECT_EQ(unpacked(client.ask(request("GET", "/longer", take)).body), long_text);
  EXPECT_EQ(client.ask(request("GET", "/short", take)).header("Content-Encoding"), "");
  EXPECT_EQ(client.ask(request("GET", "/picture", take)).header("Content-Encoding"), "");
  EXPECT_EQ(client.ask(request("GET", "/long")).body, text);
  EXPECT_EQ(client.ask(request("GET", "/long", "Accept-Encoding: gzip;q=0\r\n")).body, text);
}

TEST_F(BrowserTest, PagesAreGuarded) {
  server.router.get("/page", {}, answers({.content_type = "text/html; charset=utf-8"}));
  server.router.get("/own", {},
                    answers({.content_type = "text/html",
                             .headers = {{"Content-Security-Policy", "default-src 'self'"},
                                         {"Cache-Control", "max-age=60"}}}));
  server.start();
  const Answer page = ask(server, request("GET", "/page"));
  EXPECT_EQ(page.header("Content-Security-Policy"), "frame-ancestors 'none'");
  EXPECT_EQ(page.header("X-Content-Type-Options"), "nosniff");
  const Answer own = ask(server, request("GET", "/own"));
  EXPECT_EQ(own.header("Content-Security-Policy"), "default-src 'self'");
  EXPECT_EQ(own.header("Cache-Control"), "max-age=60");
}

TEST_F(BrowserTest, HeadersCannotBeSplit) {
  server.router.get("/a", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    Reply reply;
    reply.headers.emplace_back("X-Echo", exchange.query("v").value_or(""));
    co_return reply;
  });
  server.start();
  const Answer answer = ask(server, request("GET", "/a?v=a%0d%0aSet-Cookie:%20b"));
  EXPECT_EQ(answer.header("X-Echo"), "a  Set-Cookie: b");
  EXPECT_EQ(answer.header("Set-Cookie"), "");
}

TEST_F(BrowserTest, ProxiesAreBelievedOnlyWhenTrusted) {
  const std::string forwarded =
      "X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: pictures.example\r\n";
  const Handler tell = [](Exchange& exchange) -> Awaitable<Reply> {
    co_return Reply{.body = exchange.base_url() + " " + std::string(exchange.client_address()) +
                            " " + std::string(exchange.header("host"))};
  };
  server.router.get("/a", {}, tell);
  server.options.subpath = "/sd";
  server.start();
  EXPECT_EQ(ask(server, request("GET", "/a", forwarded)).body,
            "http://localhost 127.0.0.1 localhost");
  EXPECT_EQ(ask(server, request("GET", "/sd/a")).body, "http://localhost/sd 127.0.0.1 localhost");
  EXPECT_EQ(ask(server, request("GET", "/sda")).status, 404);
  const Answer bare = ask(server, request("GET", "/sd"));
  EXPECT_EQ(bare.status, 308);
  EXPECT_EQ(bare.header("Location"), "/sd/");
  EXPECT_EQ(ask(server, "GET http://other:81/a HTTP/1.1\r\nHost: localhost\r\n\r\n").body,
            "http://other:81 127.0.0.1 other:81");

  LiveServer trusting;
  trusting.router.get("/a", {}, tell);
  trusting.options.trusted_proxies = {"127.0.0.0/8"};
  trusting.start();
  EXPECT_EQ(ask(trusting, request("GET", "/a", forwarded)).body,
            "https://pictures.example 1.2.3.4 pictures.example");
  EXPECT_EQ(ask(trusting, request("GET", "/a", "X-Forwarded-Host: a\"b\r\n")).body,
            "http://localhost 127.0.0.1 localhost");
}

TEST(Gzip, AcceptEncodingIsRead) {
  EXPECT_TRUE(accepts_gzip("gzip"));
  EXPECT_TRUE(accepts_gzip("deflate, GZIP ; q=0.3"));
  EXPECT_TRUE(accepts_gzip("*"));
  EXPECT_FALSE(accepts_gzip(""));
  EXPECT_FALSE(accepts_gzip("gzip; q=0.000"));
  EXPECT_FALSE(accepts_gzip("xgzip, br"));
}

}  // namespace
}  // namespace safelight::http
