#include "http/websocket.h"

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

#include "live_server.h"

namespace safelight::http {
namespace {

constexpr std::string_view kUpgrade =
    "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client's frame with a mask of zeros.
std::string frame(int first_byte, std::string_view payload) {
  std::string bytes(1, static_cast<char>(first_byte));
  if (payload.size() < 126) {
    bytes += static_cast<char>(0x80 | payload.size());
  } else {
    bytes += static_cast<char>(0x80 | 126);
    bytes += static_cast<char>(payload.size() >> 8);
    bytes += static_cast<char>(payload.size());
  }
  return bytes.append(4, '\0').append(payload);
}

/// A client of a WebSocket.
struct SocketClient : RawClient {
  using RawClient::RawClient;
  /// The first byte and payload of the next frame.
  std::pair<int, std::string> next() {
    const std::string head = exactly(2);
    if (head.size() < 2) return {0, ""};
    size_t size = static_cast<uint8_t>(head[1]);
    if (size >= 126) {
      const std::string length = exactly(size == 126 ? 2 : 8);
      size = 0;
      for (char c : length) size = size << 8 | static_cast<uint8_t>(c);
    }
    return {static_cast<uint8_t>(head[0]), exactly(size)};
  }
  int close_code() {
    for (;;) {
      const auto [byte, payload] = next();
      if (byte == 0x88 && payload.size() >= 2) {
        return static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]);
      }
      if (byte == 0) return 0;
    }
  }
};

Awaitable<void> echo_messages(Exchange&, Socket& socket) {
  while (auto message = co_await socket.receive()) {
    socket.send(std::make_shared<const std::string>(*message));
  }
}

struct WebSocketTest : testing::Test {
  LiveServer server;

  void connect(SocketClient& client) {
    const Answer answer = client.ask(request("GET", "/ws", kUpgrade));
    ASSERT_EQ(answer.status, 101);
    ASSERT_EQ(answer.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  }
};

TEST(WebSocketKeys, AreChecked) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_TRUE(is_websocket_key("dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_FALSE(is_websocket_key("dGhlIHNhbXBsZSBub25jZQ"));
  EXPECT_FALSE(is_websocket_key("!GhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_FALSE(is_websocket_key(""));
}

TEST_F(WebSocketTest, EchoesPingsAndCloses) {
  server.router.socket("/ws", {}, echo_messages);
  server.start();
  SocketClient client(server.port);
  connect(client);
  client.send(frame(0x81, "hello"));
  EXPECT_EQ(client.next(), std::pair(0x81, std::string("hello")));
  client.send(frame(0x89, "p"));
  EXPECT_EQ(client.next(), std::pair(0x8A, std::string("p")));
  client.send(frame(0x01, "a") + frame(0x80, "b"));
  EXPECT_EQ(client.next(), std::pair(0x81, std::string("ab")));
  client.send(frame(0x88, std::string("\x03\xE9") + "going"));
  EXPECT_EQ(client.next(), std::pair(0x88, std::string("\x03\xE9")));
  EXPECT_TRUE(client.closes());
}

TEST_F(WebSocketTest, MessagesRightBehindTheUpgradeAreRead) {
  server.router.socket("/ws", {}, echo_messages);
  server.start();
  SocketClient client(server.port);
  client.send(request("GET", "/ws", kUpgrade) + frame(0x81, "early"));
  EXPECT_EQ(client.answer().status, 101);
  EXPECT_EQ(client.next(), std::pair(0x81, std::string("early")));
}

TEST_F(WebSocketTest, OtherRequestsAreToldWhatItIs) {
  server.router.socket("/ws", {}, echo_messages);
  server.start();
  const Answer plain = ask(server, request("GET", "/ws"));
  EXPECT_EQ(plain.status, 426);
  EXPECT_EQ(plain.header("Upgrade"), "websocket");
  EXPECT_EQ(plain.header("Sec-WebSocket-Version"), "13");
  EXPECT_EQ(ask(server, request("GET", "/ws",
                                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n"))
                .status,
            426);
  EXPECT_EQ(ask(server, request("GET", "/ws",
                                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"))
                .status,
            400);
}

TEST_F(WebSocketTest, TheGatekeeperStandsBeforeSocketsToo) {
  server.router.socket("/ws", {}, echo_messages);
  server.gatekeeper.decide = [](Exchange&, const Route&) {
    Admission admission;
    admission.refusal = error_reply({ErrorCode::kForbidden, "no"}, ErrorForm::kNative);
    return admission;
  };
  server.start();
  EXPECT_EQ(ask(server, request("GET", "/ws", kUpgrade)).status, 403);
}

TEST_F(WebSocketTest, FaultsCloseWithTheirCode) {
  server.options.max_message = 200;
  server.router.socket("/ws", {}, echo_messages);
  server.start();
  const auto code_after = [&](const std::string& bytes) {
    SocketClient client(server.port);
    connect(client);
    client.send(bytes);
    return client.close_code();
  };
  EXPECT_EQ(code_after(frame(0x82, "binary")), 1003);
  EXPECT_EQ(code_after(frame(0x81, "\xFF")), 1007);
  EXPECT_EQ(code_after(frame(0x81, std::string(201, 'a'))), 1009);
  EXPECT_EQ(code_after(std::string("\x81\x01x", 3)), 1002);
}

TEST_F(WebSocketTest, HandlersThatEndOrThrowCloseTheSocket) {
  server.router.socket("/ws", {}, [](Exchange&, Socket& socket) -> Awaitable<void> {
    const auto message = co_await socket.receive();
    if (message == "throw") throw std::runtime_error("a bug");
  });
  server.start();
  SocketClient one(server.port);
  connect(one);
  one.send(frame(0x81, "end"));
  EXPECT_EQ(one.close_code(), 1000);
  SocketClient two(server.port);
  connect(two);
  two.send(frame(0x81, "throw"));
  EXPECT_EQ(two.close_code(), 1011);
}

TEST_F(WebSocketTest, ASlowReaderIsBoundedAndDoesNotHoldOthersUp) {
  std::atomic<int> taken = -1;
  server.options.max_queued_messages = 100;
  server.options.write_timeout = 500ms;
  server.router.socket("/ws", {}, [&](Exchange&, Socket& socket) -> Awaitable<void> {
    co_await socket.receive();
    const auto text = std::make_shared<const std::string>(std::string(100'000, 'x'));
    int count = 0;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (socket.send(text)) {
      ++count;
      timer.expires_after(1ms);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    taken = count;
  });
  server.router.get("/a", {}, echo());
  server.start();
  SocketClient slow(server.port);
  connect(slow);
  slow.send(frame(0x81, "go"));
  for (int i = 0; i < 500 && taken < 0; ++i) {
    if (i % 100 == 0) {
      EXPECT_EQ(ask(server, request("GET", "/a")).status, 200);
    }
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_GE(taken, 100);
  EXPECT_LT(taken, 1000);
  // It does not read on: it is dropped, not waited for.
  for (int i = 0; i < 300 && server.records().size() < 6; ++i) {
    std::this_thread::sleep_for(10ms);
    if (!server.records().empty() && server.records().back().path == "/ws") break;
  }
  EXPECT_EQ(server.records().back().path, "/ws");
}

TEST_F(WebSocketTest, ManySocketsShareOneText) {
  std::mutex mutex;
  std::vector<Socket*> sockets;
  server.options.threads = 2;
  server.router.socket("/ws", {}, [&](Exchange&, Socket& socket) -> Awaitable<void> {
    {
      const std::lock_guard lock(mutex);
      sockets.push_back(&socket);
    }
    while (co_await socket.receive()) {
    }
    const std::lock_guard lock(mutex);
    std::erase(sockets, &socket);
  });
  const auto text = std::make_shared<const std::string>("news");
  server.router.post("/tell", {}, [&](Exchange&) -> Awaitable<Reply> {
    const std::lock_guard lock(mutex);
    for (Socket* socket : sockets) socket->send(text);
    co_return Reply{.body = std::to_string(sockets.size())};
  });
  server.start();
  std::vector<std::unique_ptr<SocketClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<SocketClient>(server.port));
    connect(*clients.back());
  }
  for (int i = 0; i < 100; ++i) {
    if (ask(server, request("POST", "/tell")).body == "40") break;
    std::this_thread::sleep_for(10ms);
  }
  for (auto& client : clients) EXPECT_EQ(client->next(), std::pair(0x81, std::string("news")));
  EXPECT_NE(server.metrics.render().find("safelight_http_websockets 40"), std::string::npos);
  server.stop(0ms);  // before what its handlers use goes
}

TEST_F(WebSocketTest, SilentClientsArePingedAndThenDropped) {
  server.options.ping_interval = 100ms;
  server.router.socket("/ws", {}, echo_messages);
  server.start();
  SocketClient answering(server.port);
  connect(answering);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(answering.next().first, 0x89);
    answering.send(frame(0x8A, ""));
  }
  SocketClient silent(server.port);
  connect(silent);
  EXPECT_EQ(silent.next().first, 0x89);
  EXPECT_EQ(silent.next().first, 0);
  EXPECT_TRUE(silent.closes(1s));
}

TEST_F(WebSocketTest, StopSaysGoingAway) {
  server.router.socket("/ws", {}, echo_messages);
  server.start();
  SocketClient client(server.port);
  connect(client);
  std::thread stopper([&] { server.stop(10s); });
  EXPECT_EQ(client.close_code(), 1001);
  client.send(frame(0x88, "\x03\xE9"));
  client.close();
  stopper.join();
}

TEST_F(WebSocketTest, TheHandlerEndsWhenTheClientIsGone) {
  std::atomic<bool> ended = false;
  server.router.socket("/ws", {}, [&](Exchange& exchange, Socket& socket) -> Awaitable<void> {
    while (co_await socket.receive()) {
    }
    EXPECT_FALSE(exchange.connected());
    EXPECT_FALSE(socket.send(std::make_shared<const std::string>("x")));
    ended = true;
  });
  server.start();
  {
    SocketClient client(server.port);
    connect(client);
  }
  for (int i = 0; i < 300 && !ended; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace safelight::http
