#include <gtest/gtest.h>

#include "live_server.h"

namespace safelight::http {
namespace {

constexpr std::string_view kJson = "Content-Type: application/json\r\n";

struct LimitsTest : testing::Test {
  LimitsTest() {
    server.options.header_timeout = server.options.body_timeout = 200ms;
    server.options.idle_timeout = 300ms;
    server.options.max_header_bytes = 2048;
    server.router.get("/a", {}, echo());
    server.router.post("/a", {.max_body = 100}, echo());
  }
  LiveServer server;
};

TEST_F(LimitsTest, ASlowHeadIsA408) {
  server.start();
  RawClient client(server.port);
  const auto begin = std::chrono::steady_clock::now();
  client.send("GET /a HTTP/1.1\r\n");
  // Slow loris: a byte now and then does not help.
  std::thread dripping([&] {
    for (int i = 0; i < 20 && client.send("x"); ++i) std::this_thread::sleep_for(50ms);
  });
  EXPECT_EQ(client.answer().status, 408);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 900ms);
  dripping.join();
}

TEST_F(LimitsTest, ASlowBodyIsA408) {
  server.start();
  RawClient client(server.port);
  client.send("POST /a HTTP/1.1\r\nHost: h\r\n" + std::string(kJson) +
              "Content-Length: 50\r\n\r\n1");
  EXPECT_EQ(client.answer().status, 408);
  EXPECT_TRUE(client.closes());
}

TEST_F(LimitsTest, SilentConnectionsAreClosedWithoutAWord) {
  server.start();
  RawClient fresh(server.port);
  EXPECT_EQ(fresh.receive(2s), "");
  EXPECT_TRUE(fresh.closes(10ms));
  RawClient used(server.port);
  EXPECT_EQ(used.ask(request("GET", "/a")).status, 200);
  EXPECT_EQ(used.receive(2s), "");
  EXPECT_TRUE(used.closes(10ms));
}

TEST_F(LimitsTest, LongHeadsAreRefused) {
  server.start();
  EXPECT_EQ(ask(server, request("GET", "/a", "X: " + std::string(4096, 'x') + "\r\n")).status, 431);
  EXPECT_EQ(ask(server, request("GET", "/" + std::string(4096, 'x'))).status, 414);
}

TEST_F(LimitsTest, LargeBodiesAreRefusedBeforeTheyAreRead) {
  server.start();
  RawClient client(server.port);
  client.send("POST /a HTTP/1.1\r\nHost: h\r\n" + std::string(kJson) +
              "Content-Length: 101\r\n\r\n");
  const Answer answer = client.answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_NE(answer.body.find("100 bytes"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_EQ(ask(server, "POST /a HTTP/1.1\r\nHost: h\r\n" + std::string(kJson) +
                            "Transfer-Encoding: chunked\r\n\r\n65\r\n")
                .status,
            413);
  EXPECT_EQ(ask(server, request("POST", "/a", kJson, std::string(100, '1'))).status, 200);
}

TEST_F(LimitsTest, ARefusalReachesAClientThatIsStillSending) {
  server.start();
  RawClient client(server.port);
  client.send("POST /a HTTP/1.1\r\nHost: h\r\n" + std::string(kJson) +
              "Content-Length: 3000000\r\n\r\n");
  client.send(std::string(1'000'000, 'x'));
  EXPECT_EQ(client.answer().status, 413);
}

TEST_F(LimitsTest, ExpectIsAnsweredOnlyWhenTheBodyIsWanted) {
  server.start();
  RawClient client(server.port);
  const std::string head = "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n";
  client.send(head + std::string(kJson) + "Content-Length: 2\r\n\r\n");
  EXPECT_EQ(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(client.ask("{}").body, "POST /a {}");
  client.send(head + std::string(kJson) + "Content-Length: 1000\r\n\r\n");
  EXPECT_EQ(client.answer().status, 413);
  EXPECT_EQ(ask(server, request("POST", "/a", "Expect: magic\r\n", "{}")).status, 417);
}

TEST_F(LimitsTest, SmugglingIsRefusedAndTheConnectionEnds) {
  server.start();
  const std::string smuggled = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const std::string& head :
       {std::string("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        std::string("Content-Length: 0\r\nContent-Length: 50\r\n"),
        std::string("Transfer-Encoding: gzip, chunked\r\n"), std::string("Content-Length: 0,0\r\n"),
        std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")}) {
    RawClient client(server.port);
    client.send("POST /a HTTP/1.1\r\nHost: h\r\n" + head + "\r\n" + smuggled);
    const Answer answer = client.answer();
    EXPECT_TRUE(answer.status == 400 || answer.status == 501) << head;
    EXPECT_EQ(client.answer().status, 0) << "a second request was answered after " << head;
  }
}

TEST_F(LimitsTest, AnUnreadBodyIsNotTakenForARequest) {
  server.start();
  RawClient client(server.port);
  client.send(request("POST", "/none", "", request("GET", "/a")));
  EXPECT_EQ(client.answer().status, 404);
  EXPECT_EQ(client.answer().status, 0);
}

TEST_F(LimitsTest, ConnectionsAreLimited) {
  server.options.max_connections = 3;
  server.options.idle_timeout = server.options.header_timeout = 10s;
  server.start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port));
    EXPECT_EQ(clients.back()->ask(request("GET", "/a")).status, 200);
  }
  RawClient fourth(server.port);
  EXPECT_EQ(fourth.answer().status, 503);
  clients.pop_back();
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(ask(server, request("GET", "/a")).status, 200);
  EXPECT_NE(server.metrics.render().find("safelight_http_refused_connections_total 1"),
            std::string::npos);
}

TEST_F(LimitsTest, AClientThatDoesNotReadIsDropped) {
  server.options.write_timeout = 300ms;
  server.router.get("/large", {}, [](Exchange&) -> Awaitable<Reply> {
    co_return Reply{.content_type = "image/png", .body = std::string(64 << 20, 'x')};
  });
  server.start();
  RawClient client(server.port);
  client.send(request("GET", "/large"));
  for (int i = 0; i < 300 && server.records().empty(); ++i) std::this_thread::sleep_for(10ms);
  ASSERT_EQ(server.records().size(), 1U);
  EXPECT_EQ(server.records()[0].status, 499);
}

TEST_F(LimitsTest, TraversalIsRefused) {
  server.router.get("/files/{name*}", {}, echo());
  server.start();
  for (const char* target : {"/files/../a", "/files/%2e%2e/a", "/files/a%2F..%2Fb", "/files/a%00",
                             "/files/..%5ca", "/files/%zz"}) {
    EXPECT_EQ(ask(server, request("GET", target)).status, 400) << target;
  }
  EXPECT_EQ(ask(server, request("GET", "/files/a/b%20c")).body, "GET /files/a/b c ");
}

TEST_F(LimitsTest, GarbageIsAnswered) {
  server.start();
  EXPECT_EQ(ask(server, "\x16\x03\x01\x02\n").status, 400);
  EXPECT_EQ(ask(server, "GET / HTTP/3.0\r\n\r\n").status, 505);
  EXPECT_EQ(ask(server, "CONNECT host:80 HTTP/1.1\r\nHost: h\r\n\r\n").status, 400);
}

}  // namespace
}  // namespace safelight::http
