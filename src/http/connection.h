#pragma once

#include <memory>
#include <optional>
#include <string>

#include "http/core.h"
#include "http/live_exchange.h"
#include "http/request_parser.h"
#include "http/transport.h"
#include "http/websocket.h"

namespace safelight::http {

/// One client's connection: reads requests one after the other and answers each before it looks at
/// the next. Of one thread.
class Connection {
 public:
  Connection(Core& core, Transport::Tcp::socket socket,
             std::shared_ptr<boost::asio::ssl::context> tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves until the connection has ended. Does not throw.
  Awaitable<void> run();

  void tick(Clock::time_point now);
  /// Ends when nothing is under way, else after it.
  void wind_down();
  /// Ends now.
  void close() { transport_.close(); }

 private:
  enum class Next { kRequest, kFinish, kClose };
  enum class HeadRead { kComplete, kGone, kFault };

  Awaitable<Next> serve_one();
  Awaitable<HeadRead> read_head(RequestParser& parser, std::optional<Fault>& fault);
  Awaitable<Transport::Outcome> fill(size_t most, Clock::time_point deadline);
  Awaitable<Next> answer_fault(RequestParser& parser, const Fault& fault);
  /// The reply to send, unless the exchange has been answered already.
  Awaitable<std::optional<Reply>> respond(LiveExchange& exchange, RequestParser& parser);
  Awaitable<std::optional<Reply>> admit(LiveExchange& exchange, RequestParser& parser);
  std::optional<Reply> refuse_route(LiveExchange& exchange) const;
  Awaitable<std::optional<Reply>> read_body(LiveExchange& exchange, RequestParser& parser);
  Awaitable<std::optional<Fault>> receive_body(LiveExchange& exchange, RequestParser& parser);
  Awaitable<std::optional<Reply>> serve_socket(LiveExchange& exchange);
  void record(const LiveExchange& exchange, uint64_t written_before) const;

  Core& core_;
  Transport transport_;
  boost::asio::ip::address peer_;
  std::string buffer_;  ///< received and not used yet
  bool first_ = true;   ///< no request was read yet
  bool idle_ = true;    ///< waits for a request's first byte
  std::shared_ptr<WebSocket> socket_;
};

}  // namespace safelight::http
