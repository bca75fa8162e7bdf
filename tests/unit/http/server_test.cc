#include "http/server.h"

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <new>
#include <stdexcept>

#include "live_server.h"

namespace safelight::http {
namespace {

Awaitable<void> sleep_for(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

constexpr std::string_view kJson = "Content-Type: application/json\r\n";

struct ServerTest : testing::Test {
  LiveServer server;
};

TEST_F(ServerTest, AnswersManyRequestsOnOneConnection) {
  server.router.get("/a", {}, echo());
  server.start();
  RawClient client(server.port);
  for (int i = 0; i < 3; ++i) {
    const Answer answer = client.ask(request("GET", "/a"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "GET /a ");
    EXPECT_EQ(answer.header("Server"), "Safelight");
    EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(answer.header("Cache-Control"), "no-store");
    EXPECT_TRUE(answer.header("Date").ends_with(" GMT"));
    EXPECT_EQ(answer.header("Connection"), "");
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  server.router.post("/slow", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    co_await sleep_for(50ms);
    co_return Reply{.body = exchange.body()};
  });
  server.router.get("/a", {}, echo());
  server.start();
  RawClient client(server.port);
  client.send(request("POST", "/slow", kJson, "[1]") + request("GET", "/a") +
              request("POST", "/slow", kJson, "[2]") +
              request("GET", "/a", "Connection: close\r\n"));
  EXPECT_EQ(client.answer().body, "[1]");
  EXPECT_EQ(client.answer().body, "GET /a ");
  EXPECT_EQ(client.answer().body, "[2]");
  const Answer last = client.answer();
  EXPECT_EQ(last.body, "GET /a ");
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(client.closes());
}

TEST_F(ServerTest, BytesMayComeOneByOne) {
  server.router.post("/a", {}, echo());
  server.start();
  RawClient client(server.port);
  for (char c : request("POST", "/a", kJson, R"({"b":1})")) client.send({&c, 1});
  EXPECT_EQ(client.answer().body, R"(POST /a {"b":1})");
}

TEST_F(ServerTest, ChunkedBodiesAreJoinedAndTrailersDropped) {
  server.router.post("/a", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    co_return Reply{.body = exchange.body() + std::string(exchange.header("X-Trailer"))};
  });
  server.start();
  RawClient client(server.port);
  const Answer answer =
      client.ask(request("POST", "/a", std::string(kJson) + "Transfer-Encoding: chunked\r\n") +
                 "3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\nX-Trailer: t\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "[1,2]");
  EXPECT_EQ(client.ask(request("GET", "/none")).status, 404);
}

TEST_F(ServerTest, HeadHasTheHeadersOfGetAndNoBody) {
  server.router.get("/a", {}, echo());
  server.start();
  RawClient client(server.port);
  client.send(request("HEAD", "/a"));
  const Answer answer = client.answer(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("Content-Length"), "8");
  EXPECT_EQ(client.ask(request("GET", "/a")).body, "GET /a ");
}

TEST_F(ServerTest, Http10ClosesUnlessAskedToStay) {
  server.router.get("/a", {}, echo());
  server.start();
  RawClient leaving(server.port);
  EXPECT_EQ(leaving.ask("GET /a HTTP/1.0\r\n\r\n").header("Connection"), "close");
  EXPECT_TRUE(leaving.closes());
  RawClient staying(server.port);
  EXPECT_EQ(staying.ask("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("Connection"),
            "keep-alive");
  EXPECT_EQ(staying.ask("GET /a HTTP/1.0\r\n\r\n").status, 200);
}

TEST_F(ServerTest, UnknownPathsAndMethodsAnswerInTheFormOfTheirFamily) {
  server.router.get("/sdapi/v1/progress", {.errors = ErrorForm::kSdWebUi}, echo());
  server.start();
  const Answer sd = ask(server, request("GET", "/sdapi/v1/none"));
  EXPECT_EQ(sd.status, 404);
  EXPECT_NE(sd.body.find(R"("detail":)"), std::string::npos);
  const Answer openai = ask(server, request("GET", "/v1/none"));
  EXPECT_NE(openai.body.find(R"("param":null)"), std::string::npos);
  const Answer native = ask(server, request("GET", "/v1none", "X-Request-Id: abc-1\r\n"));
  EXPECT_NE(native.body.find(R"("request_id":"abc-1")"), std::string::npos) << native.body;
  const Answer method = ask(server, request("DELETE", "/sdapi/v1/progress"));
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(ask(server, request("OPTIONS", "/sdapi/v1/progress")).status, 204);
}

TEST_F(ServerTest, HandlersThatThrowAreAnsweredAndTheServerGoesOn) {
  server.router.get("/bug", {}, [](Exchange&) -> Awaitable<Reply> {
    throw std::runtime_error("secret detail");
    co_return Reply{};
  });
  server.router.get("/memory", {}, [](Exchange&) -> Awaitable<Reply> {
    throw std::bad_alloc();
    co_return Reply{};
  });
  server.router.get("/elsewhere", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    const int value =
        co_await exchange.blocking([]() -> int { throw std::runtime_error("in the pool"); });
    co_return Reply{.status = value};
  });
  server.router.get("/odd", {}, [](Exchange&) -> Awaitable<Reply> {
    throw 1;
    co_return Reply{};
  });
  server.start();
  RawClient client(server.port);
  const Answer bug = client.ask(request("GET", "/bug"));
  EXPECT_EQ(bug.status, 500);
  EXPECT_EQ(bug.body.find("secret"), std::string::npos);
  EXPECT_NE(bug.body.find(bug.header("X-Request-Id")), std::string::npos);
  EXPECT_EQ(client.ask(request("GET", "/memory")).status, 507);
  EXPECT_EQ(client.ask(request("GET", "/elsewhere")).status, 500);
  EXPECT_EQ(client.ask(request("GET", "/odd")).status, 500);
}

TEST_F(ServerTest, BlockingWorkComesBackWithItsValue) {
  server.router.get("/a", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    const auto before = std::this_thread::get_id();
    const auto inside = co_await exchange.blocking([] { return std::this_thread::get_id(); });
    const bool moved = inside != before && std::this_thread::get_id() == before;
    co_return Reply{.body = moved ? "moved" : "stayed"};
  });
  server.start();
  EXPECT_EQ(ask(server, request("GET", "/a")).body, "moved");
}

TEST_F(ServerTest, TheGatekeeperDecidesBeforeTheBodyIsRead) {
  server.router.post("/a", {.max_body = 1 << 20}, echo());
  server.gatekeeper.decide = [](Exchange& exchange, const Route& route) {
    EXPECT_EQ(route.pattern, "/a");
    EXPECT_TRUE(exchange.body().empty());
    Admission admission;
    admission.headers = {{"RateLimit-Limit", "5"}};
    if (exchange.header("authorization") != "Bearer good") {
      admission.refusal = error_reply({ErrorCode::kUnauthenticated, "who?"}, ErrorForm::kNative);
    }
    return admission;
  };
  server.start();
  RawClient client(server.port);
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  const Answer refused = client.answer();
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.header("RateLimit-Limit"), "5");
  EXPECT_EQ(refused.header("Connection"), "close");
  const Answer passed = ask(
      server, request("POST", "/a", std::string(kJson) + "Authorization: Bearer good\r\n", "{}"));
  EXPECT_EQ(passed.status, 200);
  EXPECT_EQ(passed.header("RateLimit-Limit"), "5");
}

TEST_F(ServerTest, BodiesAreJsonUnlessTheRouteTakesOthers) {
  server.router.post("/json", {}, echo());
  server.router.post("/any", {.accepts_any_body = true}, echo());
  server.start();
  EXPECT_EQ(ask(server, request("POST", "/json", "Content-Type: text/plain\r\n", "x")).status, 415);
  EXPECT_EQ(ask(server, request("POST", "/json", "", "{}")).status, 415);
  EXPECT_EQ(ask(server,
                request("POST", "/json", "Content-Type: Application/JSON; charset=utf-8\r\n", "{}"))
                .status,
            200);
  EXPECT_EQ(ask(server, request("POST", "/json")).status, 200);
  EXPECT_EQ(ask(server, request("POST", "/any", "Content-Type: text/plain\r\n", "x")).status, 200);
}

TEST_F(ServerTest, QueryParametersAndIdsReachTheHandler) {
  server.router.get("/jobs/{id}", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    co_return Reply{.body = std::string(exchange.param("id")) + "|" +
                            exchange.query("q").value_or("-") + "|" +
                            exchange.query("none").value_or("-") + "|" + exchange.request_id() +
                            "|" + std::string(exchange.header("traceparent"))};
  });
  server.start();
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const Answer answer =
      ask(server, request("GET", "/jobs/a%20b?q=x%2By+z&q=2",
                          "X-Request-Id: id.1\r\ntraceparent: " + trace + "\r\n"));
  EXPECT_EQ(answer.body, "a b|x+y z|-|id.1|" + trace);
  EXPECT_EQ(answer.header("X-Request-Id"), "id.1");
  EXPECT_EQ(answer.header("traceparent"), trace);
  const Answer bad =
      ask(server, request("GET", "/jobs/1", "X-Request-Id: a b<script>\r\ntraceparent: 00-1\r\n"));
  EXPECT_EQ(bad.header("X-Request-Id").size(), 16U);
  EXPECT_EQ(bad.header("traceparent"), "");
}

TEST_F(ServerTest, TheAccessLogHasALineForEachAnswer) {
  server.router.get("/a", {}, echo());
  server.start();
  ask(server, request("GET", "/a?secret=1", "X-Request-Id: r1\r\n"));
  ask(server, "GARBAGE\r\n\r\n");
  server.stop(1s);
  const auto records = server.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].request_id, "r1");
  EXPECT_EQ(records[0].path, "/a");
  EXPECT_EQ(records[0].address, "127.0.0.1");
  EXPECT_EQ(records[0].principal, "local");
  EXPECT_EQ(records[0].status, 200);
  EXPECT_GT(records[0].bytes, 100U);
  EXPECT_EQ(records[1].status, 400);
  EXPECT_EQ(records[1].principal, "");
  const std::string metrics = server.metrics.render();
  EXPECT_NE(
      metrics.find("safelight_http_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 1"),
      std::string::npos)
      << metrics;
}

TEST_F(ServerTest, TheHandlerSeesThatItsClientHasGone) {
  std::atomic<int> state = 0;
  server.router.get("/wait", {}, [&](Exchange& exchange) -> Awaitable<Reply> {
    state = 1;
    for (int i = 0; i < 500 && exchange.connected(); ++i) co_await sleep_for(10ms);
    state = exchange.connected() ? 3 : 2;
    co_return Reply{};
  });
  server.options.idle_timeout = server.options.header_timeout = 100ms;
  server.start();
  RawClient client(server.port);
  client.send(request("GET", "/wait"));
  while (state == 0) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(state, 1) << "a long wait was cut off";
  client.close();
  for (int i = 0; i < 200 && state == 1; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(state, 2);
}

TEST_F(ServerTest, StreamsComeInPartsAndEndWithTheHandler) {
  server.router.get("/events", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    Reply head{.content_type = "text/event-stream", .body = "data: 0\n\n"};
    ReplyStream* stream = co_await exchange.stream(std::move(head));
    for (int i = 1; i < 3; ++i) {
      co_await sleep_for(20ms);
      co_await stream->write("data: " + std::to_string(i) + "\n\n");
    }
    co_await stream->write("");
    co_return Reply{};
  });
  server.start();
  RawClient client(server.port);
  const Answer answer = client.ask(request("GET", "/events"));
  EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer.header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(answer.body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  EXPECT_EQ(client.ask(request("GET", "/none")).status, 404);

  RawClient old(server.port);
  old.send("GET /events HTTP/1.0\r\n\r\n");
  const std::string all = old.until("never");
  EXPECT_TRUE(all.ends_with("\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n")) << all;
}

TEST_F(ServerTest, AStreamEndsWhenItsClientLeaves) {
  std::atomic<bool> ended = false;
  server.router.get("/events", {}, [&](Exchange& exchange) -> Awaitable<Reply> {
    Reply head{.content_type = "text/event-stream"};
    ReplyStream* stream = co_await exchange.stream(std::move(head));
    while (co_await stream->write("data: 0\n\n")) co_await sleep_for(5ms);
    ended = true;
    co_return Reply{};
  });
  server.start();
  RawClient client(server.port);
  client.send(request("GET", "/events"));
  client.until("data: 0");
  client.close();
  for (int i = 0; i < 300 && !ended; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(ended);
}

TEST_F(ServerTest, AStreamThatFailsIsCutOff) {
  server.router.get("/events", {}, [](Exchange& exchange) -> Awaitable<Reply> {
    Reply head{.content_type = "text/event-stream", .body = "data: 0\n\n"};
    co_await exchange.stream(std::move(head));
    throw std::runtime_error("in the middle");
  });
  server.start();
  RawClient client(server.port);
  client.send(request("GET", "/events"));
  const std::string all = client.until("never");
  EXPECT_NE(all.find("data: 0"), std::string::npos);
  EXPECT_EQ(all.find("0\r\n\r\n"), std::string::npos);
}

TEST_F(ServerTest, StopFinishesWhatIsUnderWay) {
  std::atomic<bool> entered = false;
  server.router.get("/slow", {}, [&](Exchange&) -> Awaitable<Reply> {
    entered = true;
    co_await sleep_for(200ms);
    co_return Reply{.body = "done"};
  });
  server.start();
  RawClient idle(server.port);
  RawClient busy(server.port);
  busy.send(request("GET", "/slow"));
  while (!entered) std::this_thread::sleep_for(1ms);
  const auto begin = std::chrono::steady_clock::now();
  std::thread stopper([&] { server.stop(10s); });
  const Answer answer = busy.answer();
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.header("Connection"), "close");
  busy.close();
  EXPECT_TRUE(idle.closes());
  stopper.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  EXPECT_FALSE(RawClient(server.port).connected());
}

TEST_F(ServerTest, StopCutsOffWhatDoesNotEnd) {
  std::atomic<bool> entered = false;
  server.router.get("/ever", {}, [&](Exchange&) -> Awaitable<Reply> {
    entered = true;
    co_await sleep_for(1h);
    co_return Reply{};
  });
  server.start();
  RawClient client(server.port);
  client.send(request("GET", "/ever"));
  while (!entered) std::this_thread::sleep_for(1ms);
  const auto begin = std::chrono::steady_clock::now();
  server.stop(100ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(ServerTest, StopBeforeRunReturns) {
  server.options.threads = 2;
  server.server =
      std::make_unique<Server>(server.options, server.router, server.gatekeeper, server.metrics);
  ASSERT_TRUE(server.server->listen());
  server.server->stop(0ms);
  server.server->run();
}

TEST_F(ServerTest, SeveralThreadsServe) {
  server.options.threads = 3;
  server.router.post("/a", {}, echo());
  server.start();
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&] {
      RawClient client(server.port);
      for (int n = 0; n < 50; ++n) {
        good += client.ask(request("POST", "/a", kJson, "[1]")).body == "POST /a [1]" ? 1 : 0;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 300);
}

}  // namespace
}  // namespace safelight::http
