#include "http/transport.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

namespace safelight::http {
namespace asio = boost::asio;
using asio::as_tuple;
using asio::use_awaitable;
using std::chrono::milliseconds;

namespace {

constexpr auto kNever = Clock::time_point::max();
constexpr size_t kSlab = size_t{256} * 1024;  ///< bytes that the write timeout is for
/// After the last answer: what the client still sends is read this long and this far, since closing
/// on unread bytes resets the connection, and the answer with it.
constexpr milliseconds kLinger{2000};
constexpr size_t kMostLingering = size_t{4} << 20;

}  // namespace

Transport::Transport(Tcp::socket socket, std::shared_ptr<asio::ssl::context> tls,
                     milliseconds write_timeout)
    : socket_(std::move(socket)), context_(std::move(tls)), write_timeout_(write_timeout) {
  if (context_) tls_.emplace(socket_, *context_);
}

asio::ip::address Transport::peer() const {
  boost::system::error_code failure;
  const auto endpoint = socket_.remote_endpoint(failure);
  if (failure) return {};
  // An IPv4 client of a socket for both is meant by its IPv4 address everywhere else.
  const asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return address;
}

Awaitable<bool> Transport::handshake(Clock::time_point deadline) {
  if (!tls_) co_return true;
  read_deadline_ = deadline;
  const auto [failure] =
      co_await tls_->async_handshake(asio::ssl::stream_base::server, as_tuple(use_awaitable));
  read_deadline_ = kNever;
  co_return !failure;
}

Awaitable<Transport::Read> Transport::read_some(asio::mutable_buffer buffer,
                                                Clock::time_point deadline) {
  read_deadline_ = deadline;
  read_expired_ = false;
  const auto [failure, bytes] =
      tls_ ? co_await tls_->async_read_some(buffer, as_tuple(use_awaitable))
           : co_await socket_.async_read_some(buffer, as_tuple(use_awaitable));
  read_deadline_ = kNever;
  if (!failure) co_return Read{Outcome::kData, bytes};
  co_return Read{read_expired_ ? Outcome::kTimeout : Outcome::kEnd, 0};
}

Awaitable<std::pair<boost::system::error_code, size_t>> Transport::write_some(
    std::span<const asio::const_buffer> buffers) {
  const auto [failure, bytes] =
      tls_ ? co_await tls_->async_write_some(buffers, as_tuple(use_awaitable))
           : co_await socket_.async_write_some(buffers, as_tuple(use_awaitable));
  co_return std::pair(failure, bytes);
}

Awaitable<bool> Transport::write(std::span<const asio::const_buffer> buffers) {
  std::vector<asio::const_buffer> rest(buffers.begin(), buffers.end());
  auto first = rest.begin();
  size_t in_slab = 0;
  write_deadline_ = Clock::now() + write_timeout_;
  bool sound = true;
  while (first != rest.end()) {
    if (first->size() == 0) {
      ++first;
      continue;
    }
    auto [failure, bytes] = co_await write_some({first, rest.end()});
    if (failure) {
      sound = false;
      break;
    }
    written_ += bytes;
    in_slab += bytes;
    if (in_slab >= kSlab) {
      in_slab = 0;
      write_deadline_ = Clock::now() + write_timeout_;
    }
    for (; first != rest.end() && bytes > 0;) {
      const size_t part = std::min(bytes, first->size());
      *first += part;
      bytes -= part;
      if (first->size() == 0) ++first;
    }
  }
  write_deadline_ = kNever;
  co_return sound;
}

Awaitable<void> Transport::finish() {
  const auto deadline = Clock::now() + kLinger;
  boost::system::error_code failure;
  if (tls_) {
    read_deadline_ = deadline;
    co_await tls_->async_shutdown(as_tuple(use_awaitable));
    read_deadline_ = kNever;
  }
  if (socket_.is_open()) socket_.shutdown(Tcp::socket::shutdown_send, failure);
  std::vector<char> dropped(size_t{16} * 1024);
  for (size_t total = 0; !failure && total < kMostLingering && socket_.is_open();) {
    read_deadline_ = deadline;
    const auto [bad, bytes] =
        co_await socket_.async_read_some(asio::buffer(dropped), as_tuple(use_awaitable));
    read_deadline_ = kNever;
    if (bad) break;
    total += bytes;
  }
  close();
}

void Transport::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

bool Transport::connected() const {
  if (!socket_.is_open()) return false;
  // native_handle() of Asio is not const; it changes nothing.
  pollfd state{const_cast<Tcp::socket&>(socket_).native_handle(), POLLRDHUP, 0};
  return ::poll(&state, 1, 0) <= 0 || (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

void Transport::tick(Clock::time_point now) {
  if (now >= write_deadline_) {
    write_deadline_ = kNever;
    close();
  } else if (now >= read_deadline_) {
    read_deadline_ = kNever;
    read_expired_ = true;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }
}

}  // namespace safelight::http
