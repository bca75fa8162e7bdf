#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"
#include "http/transport.h"
#include "http/websocket_frames.h"

namespace safelight::http {

/// The value of Sec-WebSocket-Accept for a client's key.
std::string websocket_accept(std::string_view key);
/// Whether it is 16 bytes in base64.
bool is_websocket_key(std::string_view key);

/// An open WebSocket on a connection. send() and close() from any of the server's threads, the rest
/// from the connection's.
class WebSocket final : public Socket, public std::enable_shared_from_this<WebSocket> {
 public:
  WebSocket(Transport& transport, const ServerOptions& options);

  Awaitable<std::optional<std::string>> receive() override;
  bool send(std::shared_ptr<const std::string> text) override;
  void close(int code, std::string_view reason) override;

  /// Begins to read; `received` came behind the client's head.
  void start(std::string received);
  /// Says good-bye and waits, for seconds at most, until the client has answered it.
  Awaitable<void> finish();
  void tick(Clock::time_point now);

 private:
  struct Frame {
    Opcode opcode = Opcode::kText;
    std::shared_ptr<const std::string> payload;
  };

  bool push(Frame frame);
  std::vector<Frame> take_batch();
  Awaitable<void> write_loop();
  Awaitable<void> read_loop(std::string received);
  Awaitable<bool> take(FrameReader::Message message);
  Awaitable<void> wait();
  void wake() { event_.cancel(); }
  void lose();

  Transport& transport_;
  const ServerOptions& options_;

  std::mutex mutex_;  ///< of these:
  std::deque<Frame> queue_;
  size_t queued_bytes_ = 0, queued_ = 0;  ///< with those being written
  bool writing_ = false;
  bool closing_ = false;  ///< a Close frame is queued or the client has gone: no more is taken

  // Of the connection's thread.
  boost::asio::steady_timer event_;  ///< never expires; cancelled when something changed
  std::deque<std::string> inbox_;
  bool reading_ = false;
  bool ended_ = false;  ///< nothing more comes from the client
  bool ping_sent_ = false;
  Clock::time_point last_heard_ = Clock::now();
  Clock::time_point close_deadline_ = Clock::time_point::max();
};

}  // namespace safelight::http
