#pragma once

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "http/exchange.h"

namespace safelight::testing {

/// An exchange without a server: what a handler asks for is what the fields say.
struct FakeExchange : http::Exchange, http::ReplyStream {
  std::string method_name = "GET", path_text = "/", body_text;
  std::map<std::string, std::string> header_fields;  ///< names in lower case
  std::map<std::string, std::string> query_fields, params;
  api::Principal who;
  std::string id = "request-1";
  bool is_connected = true;
  std::optional<http::Reply> stream_head;
  std::string streamed;                     ///< the head's body and all parts
  size_t most_parts = SIZE_MAX, parts = 0;  ///< after so many the client has gone

  std::string_view method() const override { return method_name; }
  std::string_view path() const override { return path_text; }
  const std::string& body() const override { return body_text; }
  std::string_view header(std::string_view name) const override {
    return found(header_fields, ascii_lower(name));
  }
  std::optional<std::string> query(std::string_view name) const override {
    const auto field = query_fields.find(std::string(name));
    if (field == query_fields.end()) return std::nullopt;
    return field->second;
  }
  std::string_view param(std::string_view name) const override {
    return found(params, std::string(name));
  }
  const api::Principal& principal() const override { return who; }
  const std::string& request_id() const override { return id; }
  std::string_view client_address() const override { return "127.0.0.1"; }
  std::string base_url() const override { return "http://127.0.0.1:7860"; }
  http::Awaitable<http::ReplyStream*> stream(http::Reply head) override {
    streamed = head.body;
    stream_head = std::move(head);
    co_return this;
  }
  http::Awaitable<bool> write(std::string_view part) override {
    streamed += part;
    if (++parts >= most_parts) is_connected = false;
    co_return is_connected;
  }
  http::Awaitable<void> run_blocking(std::function<void()> work) override {
    work();
    co_return;
  }
  bool connected() const override { return is_connected; }

 private:
  static std::string_view found(const std::map<std::string, std::string>& fields,
                                const std::string& name) {
    const auto field = fields.find(name);
    return field == fields.end() ? std::string_view{} : field->second;
  }
};

/// Runs a coroutine to its end on this thread; its value, or its exception thrown.
template <class T>
T run_to_end(http::Awaitable<T> work) {
  boost::asio::io_context context;
  auto result = boost::asio::co_spawn(context, std::move(work), boost::asio::use_future);
  context.run();
  return result.get();
}

/// Routes the exchange by its method and path and runs the handler. The reply; when the handler
/// streamed, its head with all that was written. 404 and 405 for what is not routed.
inline http::Reply call(const http::Router& router, FakeExchange& exchange) {
  http::Router::Match match = router.find(exchange.method_name, exchange.path_text);
  if (match.route == nullptr || !match.route->handler) {
    return {.status = match.path_known ? 405 : 404};
  }
  for (auto& [name, value] : match.params) exchange.params[name] = value;
  http::Reply reply = run_to_end(match.route->handler(exchange));
  if (!exchange.stream_head) return reply;
  http::Reply head = *exchange.stream_head;
  head.body = exchange.streamed;
  return head;
}

}  // namespace safelight::testing
