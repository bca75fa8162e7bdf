#include "http/connection.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <new>

#include "base/text.h"

namespace safelight::http {
namespace asio = boost::asio;
using boost::beast::iequals;

namespace {

constexpr size_t kHeadBytes = 4096;               ///< that are read at once
constexpr size_t kBodyBytes = size_t{64} * 1024;  ///< the same for bodies
constexpr size_t kKeptBuffer = size_t{16} * 1024;
constexpr size_t kBodySlab = size_t{1} << 20;  ///< bytes that the body timeout is for

Reply fault_reply(const Fault& fault, ErrorForm form) {
  return error_reply(fault.error, form, fault.status);
}

/// "application/json", with or without parameters, or a type built on it.
bool is_json(std::string_view type) {
  const std::string name =
      ascii_lower(trimmed(type.substr(0, std::min(type.find(';'), type.size()))));
  return name == "application/json" ||
         (name.starts_with("application/") && name.ends_with("+json"));
}

/// Methods by name; clients may send anything, and metrics are to stay few.
std::string method_label(std::string_view method) {
  for (std::string_view known : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}) {
    if (method == known) return std::string(known);
  }
  return "other";
}

Fault unsupported_type(std::string_view type) {
  return {415,
          {ErrorCode::kInvalidArgument,
           fmt::format("Content-Type is '{}'; this path takes application/json", type)}};
}

}  // namespace

Connection::Connection(Core& core, Transport::Tcp::socket socket,
                       std::shared_ptr<asio::ssl::context> tls)
    : core_(core), transport_(std::move(socket), std::move(tls), core.options.write_timeout) {}

Connection::~Connection() { --core_.counts->connections; }

void Connection::tick(Clock::time_point now) {
  transport_.tick(now);
  if (socket_) socket_->tick(now);
}

void Connection::wind_down() {
  if (socket_) {
    socket_->close(kCloseGoingAway, "the server ends");
  } else if (idle_) {
    transport_.close();
  }
}

Awaitable<void> Connection::run() {
  try {
    peer_ = transport_.peer();
    Next next = Next::kClose;
    if (co_await transport_.handshake(Clock::now() + core_.options.header_timeout)) {
      do {
        next = co_await serve_one();
      } while (next == Next::kRequest);
    }
    if (next == Next::kFinish) co_await transport_.finish();
  } catch (const std::exception& thrown) {
    spdlog::error("a connection of {} ended: {}", peer_.to_string(), thrown.what());
  }
  transport_.close();
}

Awaitable<Transport::Outcome> Connection::fill(size_t most, Clock::time_point deadline) {
  const size_t old = buffer_.size();
  buffer_.resize(old + most);
  const Transport::Read read =
      co_await transport_.read_some(asio::buffer(buffer_.data() + old, most), deadline);
  buffer_.resize(old + read.bytes);
  co_return read.outcome;
}

Awaitable<Connection::HeadRead> Connection::read_head(RequestParser& parser,
                                                      std::optional<Fault>& fault) {
  const ServerOptions& options = core_.options;
  idle_ = buffer_.empty();
  auto deadline = Clock::now() + (idle_ && !first_ ? options.idle_timeout : options.header_timeout);
  for (;;) {
    if (!buffer_.empty()) {
      RequestParser::Step step = parser.read_head(buffer_);
      if (step.fault) {
        fault = std::move(step.fault);
        co_return HeadRead::kFault;
      }
      buffer_.erase(0, step.used);
      if (step.complete) co_return HeadRead::kComplete;
    } else if (core_.stopping) {
      co_return HeadRead::kGone;
    }
    const Transport::Outcome outcome = co_await fill(kHeadBytes, deadline);
    if (outcome == Transport::Outcome::kTimeout && !buffer_.empty()) {
      fault = Fault{408, {ErrorCode::kInvalidArgument, "the request's head came too slowly"}};
      co_return HeadRead::kFault;
    }
    if (outcome != Transport::Outcome::kData) co_return HeadRead::kGone;
    if (idle_ && !first_) deadline = Clock::now() + options.header_timeout;
    idle_ = false;
  }
}

Awaitable<Connection::Next> Connection::serve_one() {
  RequestParser parser(core_.options.max_header_bytes);
  std::optional<Fault> fault;
  const HeadRead head = co_await read_head(parser, fault);
  first_ = false;
  if (head == HeadRead::kGone) co_return Next::kClose;
  if (fault) co_return co_await answer_fault(parser, *fault);

  LiveExchange exchange(core_, transport_, parser, peer_);
  const uint64_t written_before = transport_.bytes_written();
  std::optional<Reply> reply = co_await respond(exchange, parser);
  bool sound = true;
  if (reply) {
    sound = co_await exchange.send(std::move(*reply));
  } else if (exchange.is_streaming()) {
    sound = co_await exchange.end_stream();
  }
  if (!sound) exchange.set_gone();
  record(exchange, written_before);
  if (buffer_.capacity() > kKeptBuffer && buffer_.size() < kHeadBytes) buffer_.shrink_to_fit();
  if (!sound) co_return Next::kClose;
  co_return exchange.keep_alive ? Next::kRequest : Next::kFinish;
}

Awaitable<Connection::Next> Connection::answer_fault(RequestParser& parser, const Fault& fault) {
  LiveExchange exchange(core_, transport_, parser, peer_);
  exchange.keep_alive = false;
  const uint64_t written_before = transport_.bytes_written();
  Reply reply = fault_reply(fault, ErrorForm::kNative);
  const bool sound = co_await exchange.send(std::move(reply));
  record(exchange, written_before);
  co_return sound ? Next::kFinish : Next::kClose;
}

Awaitable<std::optional<Reply>> Connection::respond(LiveExchange& exchange, RequestParser& parser) {
  std::optional<Reply> reply;
  Error failure;
  try {
    reply = co_await admit(exchange, parser);
  } catch (const std::bad_alloc&) {
    failure = {ErrorCode::kOutOfMemory, "not enough memory for this request; send a smaller one"};
  } catch (const std::exception& thrown) {
    failure = {ErrorCode::kInternal, thrown.what()};
  } catch (...) {
    failure = {ErrorCode::kInternal, "something unknown was thrown"};
  }
  if (!failure.message.empty()) {
    spdlog::error("{} {} failed (request {}): {}", exchange.method(), exchange.path(),
                  exchange.request_id(), failure.message);
    // What is thrown may tell of the inside; the log has it under the request's id.
    if (failure.code == ErrorCode::kInternal) {
      failure.message = fmt::format("an internal error; the server's log has it under request {}",
                                    exchange.request_id());
    }
    // A stream is cut off, so that its client does not take it for whole.
    if (exchange.status() != 0) exchange.keep_alive = false;
    reply = error_reply(failure, exchange.error_form());
  }
  if (exchange.status() != 0) reply.reset();
  if (!failure.message.empty() && exchange.is_streaming()) transport_.close();
  co_return reply;
}

Awaitable<std::optional<Reply>> Connection::admit(LiveExchange& exchange, RequestParser& parser) {
  // Until the body is read, what follows on the connection is not a request.
  const bool may_stay = exchange.keep_alive;
  exchange.keep_alive = may_stay && !exchange.head().has_body();
  if (const Status decoded = exchange.decode(); !decoded) {
    exchange.keep_alive = false;
    co_return error_reply(decoded.error(), form_of_path(exchange.head().target));
  }
  exchange.find_route();
  if (std::optional<Reply> refused = refuse_route(exchange)) co_return refused;
  const Route& route = *exchange.match().route;
  exchange.admission = co_await core_.gatekeeper.admit(exchange, route);
  if (exchange.admission.refusal) co_return std::move(exchange.admission.refusal);
  exchange.admitted = true;
  if (route.socket) co_return co_await serve_socket(exchange);
  if (std::optional<Reply> refused = co_await read_body(exchange, parser)) co_return refused;
  exchange.keep_alive = may_stay;
  Reply reply = co_await route.handler(exchange);
  co_return reply;
}

/// The answer to what needs no handler: preflights, unknown paths and methods.
std::optional<Reply> Connection::refuse_route(LiveExchange& exchange) const {
  const Router::Match& match = exchange.match();
  const ErrorForm form = exchange.error_form();
  if (exchange.method() == "OPTIONS" && (match.path_known || exchange.path() == "*")) {
    if (!exchange.allowed_origin().empty() &&
        !exchange.header("access-control-request-method").empty()) {
      return preflight_reply(match.allow, exchange.header("access-control-request-headers"));
    }
    return Reply{.status = 204, .headers = {{"Allow", match.allow + ", OPTIONS"}}};
  }
  if (exchange.lacks_slash()) {
    return Reply{.status = 308, .headers = {{"Location", core_.options.subpath + "/"}}};
  }
  if (match.route == nullptr && match.path_known) {
    Reply reply =
        error_reply({ErrorCode::kInvalidArgument,
                     fmt::format("{} does not exist for {}; there is {}",
                                 utf8_prefix(exchange.method(), 32), exchange.path(), match.allow)},
                    form, 405);
    reply.headers.emplace_back("Allow", match.allow + ", OPTIONS");
    return reply;
  }
  if (match.route == nullptr) {
    return error_reply(
        {ErrorCode::kNotFound, fmt::format("there is nothing at {}", exchange.path())}, form);
  }
  if (match.route->socket &&
      (!exchange.is_upgrade() || exchange.header("sec-websocket-version") != "13")) {
    Reply reply = error_reply({ErrorCode::kInvalidArgument,
                               fmt::format("{} is a WebSocket, version 13", exchange.path())},
                              form, 426);
    reply.headers.emplace_back("Upgrade", "websocket");
    reply.headers.emplace_back("Sec-WebSocket-Version", "13");
    return reply;
  }
  return std::nullopt;
}

Awaitable<std::optional<Reply>> Connection::read_body(LiveExchange& exchange,
                                                      RequestParser& parser) {
  const RequestHead& head = exchange.head();
  const RouteOptions& options = exchange.match().route->options;
  if (!head.has_body()) co_return std::nullopt;
  std::optional<Fault> fault;
  const std::string_view expected = head.field("expect");
  if (!expected.empty() && !iequals(expected, "100-continue")) {
    fault = Fault{417, {ErrorCode::kInvalidArgument, "only 'Expect: 100-continue' is understood"}};
  } else if (!options.accepts_any_body && !is_json(head.field("content-type"))) {
    fault = unsupported_type(head.field("content-type"));
  } else {
    fault = co_await receive_body(exchange, parser);
  }
  if (!fault) co_return std::nullopt;
  if (fault->status == 413) {
    fault->error.message = fmt::format("the body is larger than {} bytes, which is what {} takes",
                                       options.max_body, exchange.path());
  }
  co_return fault_reply(*fault, options.errors);
}

Awaitable<std::optional<Fault>> Connection::receive_body(LiveExchange& exchange,
                                                         RequestParser& parser) {
  const RequestHead& head = exchange.head();
  const size_t max_body = exchange.match().route->options.max_body;
  bool told_to_send = head.field("expect").empty() || head.http_1_0;
  auto deadline = Clock::now() + core_.options.body_timeout;
  size_t slabs = 0;
  for (;;) {
    RequestParser::Step step = parser.read_body(buffer_, max_body);
    buffer_.erase(0, step.used);
    if (step.fault) co_return std::move(step.fault);
    if (step.complete) co_return std::nullopt;
    if (!told_to_send && buffer_.empty() && parser.body().empty()) {
      told_to_send = true;
      const asio::const_buffer text =
          asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
      if (!co_await transport_.write({&text, 1})) break;
    }
    if (parser.body().size() / kBodySlab > slabs) {
      slabs = parser.body().size() / kBodySlab;
      deadline = Clock::now() + core_.options.body_timeout;
    }
    const Transport::Outcome outcome = co_await fill(kBodyBytes, deadline);
    if (outcome == Transport::Outcome::kTimeout) {
      co_return Fault{408, {ErrorCode::kInvalidArgument, "the body came too slowly"}};
    }
    if (outcome == Transport::Outcome::kEnd) break;
  }
  co_return Fault{400, {ErrorCode::kInvalidArgument, "the body ended too early"}};
}

Awaitable<std::optional<Reply>> Connection::serve_socket(LiveExchange& exchange) {
  const std::string_view key = exchange.header("sec-websocket-key");
  if (!is_websocket_key(key)) {
    co_return error_reply({ErrorCode::kInvalidArgument, "Sec-WebSocket-Key is not sound"},
                          exchange.error_form());
  }
  exchange.keep_alive = false;
  Reply reply{.status = 101, .content_type = ""};
  reply.headers = {{"Upgrade", "websocket"},
                   {"Connection", "Upgrade"},
                   {"Sec-WebSocket-Accept", websocket_accept(key)}};
  if (!co_await exchange.send_upgrade(std::move(reply))) co_return std::nullopt;
  ++core_.counts->sockets;
  socket_ = std::make_shared<WebSocket>(transport_, core_.options);
  socket_->start(std::move(buffer_));
  buffer_.clear();
  if (core_.stopping) wind_down();
  try {
    co_await exchange.match().route->socket(exchange, *socket_);
  } catch (const std::exception& thrown) {
    spdlog::error("socket {} failed (request {}): {}", exchange.path(), exchange.request_id(),
                  thrown.what());
    socket_->close(kCloseInternal, "an internal error");
  }
  co_await socket_->finish();
  socket_.reset();
  --core_.counts->sockets;
  co_return std::nullopt;
}

void Connection::record(const LiveExchange& exchange, uint64_t written_before) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - exchange.begun).count();
  const Route* route = exchange.match().route;
  const std::string pattern = route != nullptr ? route->pattern : "unmatched";
  core_.metrics.count("safelight_http_requests_total",
                      {{"route", pattern},
                       {"method", method_label(exchange.method())},
                       {"status", fmt::format("{}", exchange.status())}});
  // How long a client listens says nothing about the server.
  if (exchange.status() != 101 && !exchange.is_streaming()) {
    core_.metrics.observe("safelight_http_request_seconds", {{"route", pattern}}, seconds);
  }
  if (!core_.options.access_log) return;
  core_.options.access_log({.request_id = exchange.request_id(),
                            .method = std::string(exchange.method()),
                            .path = std::string(exchange.path()),
                            .address = std::string(exchange.client_address()),
                            .principal = exchange.admitted ? exchange.principal().name : "",
                            .traceparent = std::string(exchange.header("traceparent")),
                            .status = exchange.status(),
                            .bytes = transport_.bytes_written() - written_before,
                            .seconds = seconds});
}

}  // namespace safelight::http
