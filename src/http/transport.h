#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "http/exchange.h"

namespace safelight::http {

using Clock = std::chrono::steady_clock;

/// A client's connection as bytes, plain or TLS, with deadlines. Of one thread. Deadlines are
/// looked at by tick(), which the server calls a few times a second for all connections: cheaper
/// than a timer for each read.
class Transport {
 public:
  using Tcp = boost::asio::ip::tcp;
  /// `tls` null: plain. `write_timeout`: for each quarter MiB that the client takes.
  Transport(Tcp::socket socket, std::shared_ptr<boost::asio::ssl::context> tls,
            std::chrono::milliseconds write_timeout);

  bool is_tls() const { return tls_.has_value(); }
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

  /// The other end's address; 0.0.0.0 when it has gone.
  boost::asio::ip::address peer() const;

  /// The TLS handshake; nothing to do on a plain connection. False when it fails or takes too long.
  Awaitable<bool> handshake(Clock::time_point deadline);

  enum class Outcome { kData, kEnd, kTimeout };
  struct Read {
    Outcome outcome = Outcome::kEnd;
    size_t bytes = 0;
  };
  /// Waits for bytes. kEnd: the client has closed, or the connection failed. One at a time.
  Awaitable<Read> read_some(boost::asio::mutable_buffer buffer, Clock::time_point deadline);

  /// Sends all, one caller at a time. False when the client has gone or does not read.
  Awaitable<bool> write(std::span<const boost::asio::const_buffer> buffers);

  /// Ends an answer so that it reaches the client even when it is still sending: says the end,
  /// reads for a moment, closes.
  Awaitable<void> finish();
  /// Closes at once; waiting reads and writes end.
  void close();

  /// Whether the client has not gone, as far as the system knows. A client that has shut down its
  /// own side counts as gone.
  bool connected() const;
  /// Ends what is past its deadline.
  void tick(Clock::time_point now);
  uint64_t bytes_written() const { return written_; }

 private:
  Awaitable<std::pair<boost::system::error_code, size_t>> write_some(
      std::span<const boost::asio::const_buffer> buffers);

  Tcp::socket socket_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::optional<boost::asio::ssl::stream<Tcp::socket&>> tls_;
  std::chrono::milliseconds write_timeout_;
  Clock::time_point read_deadline_ = Clock::time_point::max();
  Clock::time_point write_deadline_ = Clock::time_point::max();
  bool read_expired_ = false;
  uint64_t written_ = 0;
};

}  // namespace safelight::http
