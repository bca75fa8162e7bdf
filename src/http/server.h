#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/exchange.h"
#include "http/gatekeeper.h"
#include "http/metrics.h"

namespace safelight::http {

struct TlsFiles {
  std::filesystem::path certificate, key;  ///< PEM
};

struct AccessRecord;

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< or a host name, of which all addresses are taken
  uint16_t port = 7860;               ///< 0: any free one
  std::optional<TlsFiles> tls;
  int threads = 1;           ///< that serve connections
  int blocking_threads = 8;  ///< for Exchange::blocking
  size_t max_connections = 10'000;
  size_t max_header_bytes = size_t{16} * 1024;
  std::chrono::milliseconds header_timeout{10'000};  ///< for a whole head, however slow it comes
  std::chrono::milliseconds body_timeout{60'000};    ///< for each MiB of a body
  std::chrono::milliseconds idle_timeout{75'000};    ///< between requests of one connection
  /// For a client that does not read: for each quarter MiB.
  std::chrono::milliseconds write_timeout{60'000};
  size_t compress_from = 2048;               ///< bytes; gzip where the client accepts it
  std::vector<std::string> cors_origins;     ///< exact origins; empty: none
  std::string subpath;                       ///< prefix that routes also have, such as "/sd"
  std::vector<std::string> trusted_proxies;  ///< whose X-Forwarded-* are believed; or networks
  // WebSockets.
  size_t max_message = size_t{64} * 1024;  ///< bytes of a message that a client sends
  size_t max_queued_messages = 512;        ///< that a slow client may leave unread, of one socket
  size_t max_queued_bytes = size_t{8} << 20;
  std::chrono::milliseconds ping_interval{20'000};  ///< a silent client is asked; gone after 2.5
  std::function<void(const AccessRecord&)> access_log;
};

/// One line of the access log. Called on the thread that answered.
struct AccessRecord {
  std::string request_id, method, path, address, principal, traceparent;
  int status = 0;
  uint64_t bytes = 0;
  double seconds = 0;
};

/// HTTP/1.1 (keep-alive, chunked, gzip) and WebSocket over plain sockets or TLS, on Asio
/// coroutines.
class Server {
 public:
  /// `router`, `gatekeeper` and `metrics` outlive the server. Nothing is opened yet.
  Server(ServerOptions options, const Router& router, Gatekeeper& gatekeeper, Metrics& metrics);
  ~Server();

  /// Binds, or takes the listening sockets that systemd passed (LISTEN_FDS). Errors: kIo naming
  /// address, cause and remedy: port in use, address not of this machine, no right to the port;
  /// kInvalidArgument for certificates and proxies that cannot be used.
  Status listen();
  /// Where it listens: "http://127.0.0.1:7860".
  std::string url() const;
  /// The addresses at which it listens, as literals: after listen(), also of passed sockets.
  std::vector<std::string> addresses() const;

  /// Serves until stop(); the calling thread is one of the server's.
  void run();
  /// Reads the certificate and key again, for connections to come. Errors: as listen(); the old
  /// ones stay. Any thread.
  Status reload_tls();
  /// Graceful end: stops accepting, lets running exchanges end for `grace`, closes the rest, then
  /// run() returns. From any thread.
  void stop(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Raises the limit of open files to what the system allows; the limit after it.
uint64_t raise_open_file_limit();

}  // namespace safelight::http
