#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http/exchange.h"

namespace safelight::http {

/// A request that no network brought, for tests of handlers and gatekeepers. What a handler does
/// with it stays readable afterwards.
class FakeExchange final : public Exchange {
 public:
  FakeExchange(std::string method, std::string path)
      : method_(std::move(method)), path_(std::move(path)) {}

  // What the client sent.
  FakeExchange& with_header(std::string_view name, std::string value) {
    headers_[ascii_lower(name)] = std::move(value);
    return *this;
  }
  FakeExchange& with_body(std::string body, std::string type = "application/json") {
    body_ = std::move(body);
    return with_header("Content-Type", std::move(type));
  }
  FakeExchange& with_query(const std::string& name, std::string value) {
    query_[name] = std::move(value);
    return *this;
  }
  FakeExchange& with_param(const std::string& name, std::string value) {
    params_[name] = std::move(value);
    return *this;
  }
  FakeExchange& from(std::string address) {
    address_ = std::move(address);
    return *this;
  }
  FakeExchange& as(api::Principal principal) {
    principal_ = std::move(principal);
    return *this;
  }
  FakeExchange& over_tls() {
    scheme_ = "https";
    return *this;
  }
  FakeExchange& under(std::string subpath) {
    prefix_ = std::move(subpath);
    return *this;
  }
  FakeExchange& goes_away_after(size_t count) {
    parts_read_ = count;
    return *this;
  }

  std::string_view method() const override { return method_; }
  std::string_view path() const override { return path_; }
  const std::string& body() const override { return body_; }
  std::string_view header(std::string_view name) const override {
    const auto found = headers_.find(ascii_lower(name));
    return found == headers_.end() ? std::string_view() : std::string_view(found->second);
  }
  std::optional<std::string> query(std::string_view name) const override {
    const auto found = query_.find(std::string(name));
    if (found == query_.end()) return std::nullopt;
    return found->second;
  }
  std::string_view param(std::string_view name) const override {
    const auto found = params_.find(std::string(name));
    return found == params_.end() ? std::string_view() : std::string_view(found->second);
  }
  const api::Principal& principal() const override { return principal_; }
  const std::string& request_id() const override { return request_id_; }
  std::string_view client_address() const override { return address_; }
  std::string base_url() const override {
    return scheme_ + "://" + std::string(header("Host")) + prefix_;
  }

  Awaitable<ReplyStream*> stream(Reply head) override {
    stream_.exchange = this;
    streamed = std::move(head);
    if (!streamed->body.empty()) parts.push_back(std::exchange(streamed->body, {}));
    co_return &stream_;
  }
  /// At once: a test has no thread to spare.
  Awaitable<void> run_blocking(std::function<void()> work) override {
    ++blocking_calls;
    work();
    co_return;
  }
  bool connected() const override { return !parts_read_ || parts.size() < *parts_read_; }

  std::optional<Reply> streamed;   ///< the head of an answer in parts
  std::vector<std::string> parts;  ///< of it
  int blocking_calls = 0;

 private:
  struct Stream final : ReplyStream {
    FakeExchange* exchange = nullptr;
    Awaitable<bool> write(std::string_view part) override {
      if (!exchange->connected()) co_return false;
      exchange->parts.emplace_back(part);
      co_return true;
    }
  };

  std::string method_, path_, body_, prefix_;
  std::string address_ = "127.0.0.1", scheme_ = "http";
  std::string request_id_ = "test-request";
  std::map<std::string, std::string> headers_ = {{"host", "127.0.0.1:7860"}};
  std::map<std::string, std::string> query_, params_;
  api::Principal principal_;
  std::optional<size_t> parts_read_;  ///< how many the client takes before it goes
  Stream stream_;
};

/// A WebSocket whose messages a test puts in and reads.
class FakeSocket final : public Socket {
 public:
  explicit FakeSocket(std::vector<std::string> incoming = {}) : incoming_(std::move(incoming)) {}

  Awaitable<std::optional<std::string>> receive() override {
    if (next_ == incoming_.size()) co_return std::nullopt;
    co_return incoming_[next_++];
  }
  bool send(std::shared_ptr<const std::string> text) override {
    if (closed) return false;
    sent.push_back(*text);
    return true;
  }
  void close(int code, std::string_view reason) override {
    if (!closed) closed = {code, std::string(reason)};
  }

  std::vector<std::string> sent;
  std::optional<std::pair<int, std::string>> closed;

 private:
  std::vector<std::string> incoming_;
  size_t next_ = 0;
};

/// What a coroutine gives when it runs to its end on this thread.
template <class T>
T run(Awaitable<T> coroutine) {
  boost::asio::io_context context;
  std::optional<T> result;
  std::exception_ptr failure;
  boost::asio::co_spawn(context, std::move(coroutine),
                        [&](std::exception_ptr thrown, std::optional<T> value) {
                          failure = thrown;
                          result = std::move(value);
                        });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return std::move(*result);
}

/// The same for one that gives nothing.
inline void run(Awaitable<void> coroutine) {
  boost::asio::io_context context;
  std::exception_ptr failure;
  boost::asio::co_spawn(context, std::move(coroutine),
                        [&](std::exception_ptr thrown) { failure = thrown; });
  context.run();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace safelight::http
