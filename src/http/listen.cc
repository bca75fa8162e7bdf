#include "http/listen.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/v6_only.hpp>
#include <charconv>
#include <cstdlib>
#include <optional>

namespace safelight::http {
namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

namespace {

std::optional<int> environment_number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  const std::string_view view = text;
  int value = 0;
  const auto [end, bad] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (bad != std::errc() || end != view.data() + view.size()) return std::nullopt;
  return value;
}

std::string remedy(const boost::system::error_code& failure, uint16_t port) {
  namespace errc = boost::system::errc;
  if (failure == errc::address_in_use) {
    return fmt::format(
        "the port is in use. Is another server running? Stop it (`ss -ltnp 'sport = "
        ":{0}'` names it), or give another one by --port",
        port);
  }
  if (failure == errc::address_not_available) {
    return "this machine does not have the address. Use 127.0.0.1 for this machine alone, or "
           "0.0.0.0 for all networks";
  }
  if (failure == errc::permission_denied) {
    return "ports below 1024 need rights. Give a port from 1024 on by --port, or pass the socket "
           "by systemd";
  }
  return failure.message();
}

Error cannot_listen(const std::string& address, uint16_t port, const std::string& why) {
  return {ErrorCode::kIo, fmt::format("cannot listen on {} port {}: {}", address, port, why)};
}

boost::system::error_code open(Tcp::acceptor& acceptor, const Tcp::endpoint& endpoint) {
  boost::system::error_code failure;
  acceptor.open(endpoint.protocol(), failure);
  if (failure) return failure;
  ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  acceptor.set_option(Tcp::acceptor::reuse_address(true), failure);
  if (endpoint.address().is_v6()) {
    // "::" takes IPv4 as well.
    acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), failure);
  }
  acceptor.bind(endpoint, failure);
  if (failure) return failure;
  acceptor.listen(asio::socket_base::max_listen_connections, failure);
  return failure;
}

}  // namespace

Result<Acceptors> listen_on(asio::io_context& context, const std::string& address, uint16_t port) {
  boost::system::error_code failure;
  Tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(address, fmt::format("{}", port), Tcp::resolver::passive, failure);
  if (failure) {
    return cannot_listen(address, port,
                         "it is no address and no name that is known here (" + failure.message() +
                             "). Use something like 127.0.0.1, 0.0.0.0 or ::1");
  }
  Acceptors acceptors;
  for (const auto& entry : found) {
    Tcp::endpoint endpoint = entry.endpoint();
    if (!acceptors.empty()) endpoint.port(acceptors.front().local_endpoint().port());
    Tcp::acceptor acceptor(context);
    const boost::system::error_code refused = open(acceptor, endpoint);
    // A name may have addresses of a family that this machine lacks.
    if (refused == boost::system::errc::address_not_available && found.size() > 1) {
      failure = refused;
      continue;
    }
    if (refused) return cannot_listen(address, port, remedy(refused, port));
    acceptors.push_back(std::move(acceptor));
  }
  if (acceptors.empty()) return cannot_listen(address, port, remedy(failure, port));
  return acceptors;
}

Result<Acceptors> passed_sockets(asio::io_context& context) {
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START of sd_listen_fds(3)
  constexpr int kMost = 64;
  Acceptors acceptors;
  const auto process = environment_number("LISTEN_PID");
  const auto count = environment_number("LISTEN_FDS");
  if (process != static_cast<int>(::getpid()) || !count) return acceptors;
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  for (int fd = kFirst; fd < kFirst + std::min(*count, kMost); ++fd) {
    int listening = 0, family = 0;
    socklen_t size = sizeof listening;
    socklen_t family_size = sizeof family;
    const bool sound = ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
                       listening != 0 &&
                       ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_size) == 0 &&
                       (family == AF_INET || family == AF_INET6);
    if (!sound) {
      return Error{ErrorCode::kIo,
                   fmt::format("descriptor {} of LISTEN_FDS is no listening TCP socket; the "
                               "systemd socket unit needs ListenStream= with a port",
                               fd)};
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    acceptors.emplace_back(context, family == AF_INET ? Tcp::v4() : Tcp::v6(), fd);
  }
  return acceptors;
}

std::string url_of(const Tcp::endpoint& endpoint, bool tls) {
  const std::string address = endpoint.address().to_string();
  return fmt::format("{}://{}:{}", tls ? "https" : "http",
                     endpoint.address().is_v6() ? "[" + address + "]" : address, endpoint.port());
}

}  // namespace safelight::http
