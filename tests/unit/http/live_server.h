#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "http/server.h"

namespace safelight::http {

using namespace std::chrono_literals;

/// Lets everybody pass, unless told otherwise.
struct OpenGatekeeper : Gatekeeper {
  std::function<Admission(Exchange&, const Route&)> decide;
  Awaitable<Admission> admit(Exchange& exchange, const Route& route) override {
    if (decide) co_return decide(exchange, route);
    co_return Admission{};
  }
};

/// A server on a free port, with its thread. Routes and options are set before start().
class LiveServer {
 public:
  LiveServer() {
    options.port = 0;
    options.access_log = [this](const AccessRecord& record) {
      const std::lock_guard lock(mutex_);
      records_.push_back(record);
    };
  }
  ~LiveServer() { stop(0ms); }

  void start() {
    server = std::make_unique<Server>(options, router, gatekeeper, metrics);
    const Status status = server->listen();
    ASSERT_TRUE(status) << status.error().message;
    port = static_cast<uint16_t>(std::stoi(server->url().substr(server->url().rfind(':') + 1)));
    thread_ = std::thread([this] { server->run(); });
  }
  /// Returns when run() has.
  void stop(std::chrono::milliseconds grace) {
    if (!thread_.joinable()) return;
    server->stop(grace);
    thread_.join();
  }
  std::vector<AccessRecord> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }

  ServerOptions options;
  Router router;
  OpenGatekeeper gatekeeper;
  Metrics metrics;
  std::unique_ptr<Server> server;
  uint16_t port = 0;

 private:
  std::mutex mutex_;
  std::vector<AccessRecord> records_;
  std::thread thread_;
};

/// What a server answered.
struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::string header(std::string_view name) const {
    std::string values;
    for (const auto& [key, value] : headers) {
      if (boost::beast::iequals(key, name)) values += (values.empty() ? "" : ", ") + value;
    }
    return values;
  }
};

/// A client that sends bytes as they are told, and waits 5 s at most for those that come.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void shut_sending() { ::shutdown(socket_, SHUT_WR); }
  void set_receive_buffer(int bytes) {
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// Some bytes; empty at the end of the connection or after the timeout.
  std::string receive(std::chrono::milliseconds timeout = 5s) {
    pollfd state{socket_, POLLIN, 0};
    if (::poll(&state, 1, static_cast<int>(timeout.count())) <= 0) return "";
    std::string bytes(64 * 1024, '\0');
    const ssize_t size = ::recv(socket_, bytes.data(), bytes.size(), 0);
    ended_ = size <= 0;
    bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return bytes;
  }
  /// True when the server closes the connection within the time, whatever it sends before.
  bool closes(std::chrono::milliseconds timeout = 5s) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (!ended_ && std::chrono::steady_clock::now() < deadline) receive(50ms);
    return ended_;
  }
  /// Bytes up to and with `end`, or those that came until the connection's end.
  std::string until(std::string_view end) {
    while (pending_.find(end) == std::string::npos) {
      const std::string bytes = receive();
      if (bytes.empty()) return std::exchange(pending_, "");
      pending_ += bytes;
    }
    return take(pending_.find(end) + end.size());
  }
  std::string exactly(size_t size) {
    while (pending_.size() < size) {
      const std::string bytes = receive();
      if (bytes.empty()) break;
      pending_ += bytes;
    }
    return take(std::min(size, pending_.size()));
  }
  /// The next answer, by its Content-Length or chunks. Status 0: none came.
  Answer answer(bool to_head = false) {
    Answer answer;
    const std::string head = until("\r\n\r\n");
    if (!head.starts_with("HTTP/1.1 ")) return answer;
    answer.status = std::stoi(head.substr(9));
    for (size_t at = head.find("\r\n") + 2; at + 2 < head.size();) {
      const size_t end = head.find("\r\n", at);
      const size_t colon = head.find(": ", at);
      answer.headers.emplace_back(head.substr(at, colon - at),
                                  head.substr(colon + 2, end - colon - 2));
      at = end + 2;
    }
    if (to_head) return answer;
    if (const std::string length = answer.header("Content-Length"); !length.empty()) {
      answer.body = exactly(std::stoul(length));
    } else if (answer.header("Transfer-Encoding") == "chunked") {
      while (const size_t size = std::stoul("0" + until("\r\n"), nullptr, 16)) {
        answer.body += exactly(size);
        until("\r\n");
      }
      until("\r\n");
    }
    return answer;
  }
  Answer ask(std::string_view request) {
    send(request);
    return answer();
  }

 private:
  std::string take(size_t size) {
    std::string front = pending_.substr(0, size);
    pending_.erase(0, size);
    return front;
  }

  int socket_;
  bool connected_ = false, ended_ = false;
  std::string pending_;
};

/// The text of a request with a Host.
inline std::string request(std::string_view method, std::string_view target,
                           std::string_view headers = "", std::string_view body = "") {
  std::string text(method);
  text.append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n").append(headers);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text.append("\r\n").append(body);
}

inline Answer ask(const LiveServer& server, std::string_view text) {
  RawClient client(server.port);
  return client.ask(text);
}

/// Answers with what the request was.
inline Handler echo() {
  return [](Exchange& exchange) -> Awaitable<Reply> {
    Reply reply{.content_type = "text/plain"};
    reply.body =
        std::string(exchange.method()) + " " + std::string(exchange.path()) + " " + exchange.body();
    co_return reply;
  };
}

}  // namespace safelight::http
