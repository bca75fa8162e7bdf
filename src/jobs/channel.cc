#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/descriptor.h"
#include "base/json.h"
#include "jobs/messages.h"

namespace safelight::jobs {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr time_t kSendSeconds = 30;  // one who reads nothing for so long hangs
/// Memory is taken as data comes, not as a length promises.
constexpr size_t kReadBytes = size_t{1} << 20;

Error closed(std::string why) { return {ErrorCode::kIo, std::move(why)}; }

void put_length(size_t length, char* at) {
  for (size_t i = 0; i < kLengthBytes; ++i) at[i] = static_cast<char>((length >> (8 * i)) & 0xff);
}

size_t get_length(const char* at) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i)
    length |= static_cast<size_t>(static_cast<unsigned char>(at[i])) << (8 * i);
  return length;
}

/// Sends all parts, one after the other.
Status send_all(int fd, std::array<iovec, 3> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  while (message.msg_iovlen > 0) {
    ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return closed(fmt::format("cannot send: {}", std::strerror(errno)));
    while (message.msg_iovlen > 0 && static_cast<size_t>(sent) >= message.msg_iov->iov_len) {
      sent -= static_cast<ssize_t>(message.msg_iov->iov_len);
      ++message.msg_iov;
      --message.msg_iovlen;
    }
    if (message.msg_iovlen == 0) break;
    message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + sent;
    message.msg_iov->iov_len -= static_cast<size_t>(sent);
  }
  return {};
}

/// Reads just `size` bytes. At the end of the stream "closed".
Status receive_all(int fd, size_t size, std::string& into) {
  into.clear();
  while (into.size() < size) {
    const size_t before = into.size(), wanted = std::min(kReadBytes, size - before);
    into.resize(before + wanted);
    const ssize_t got = ::recv(fd, into.data() + before, wanted, 0);
    into.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return closed(before == 0 ? "closed" : "closed within a message");
    if (got < 0 && errno != EINTR)
      return closed(fmt::format("cannot receive: {}", std::strerror(errno)));
  }
  return {};
}

}  // namespace

struct MessageChannel::State {
  Descriptor fd;
  std::mutex sending;
};

std::string Message::kind() const {
  const boost::json::value* kind = head.if_contains("kind");
  return kind && kind->is_string() ? std::string(kind->get_string()) : std::string();
}

MessageChannel::MessageChannel(int fd) : state_(std::make_unique<State>()) {
  state_->fd = Descriptor(fd);
  const timeval limit{.tv_sec = kSendSeconds, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

MessageChannel::~MessageChannel() = default;

Status MessageChannel::send(const Message& message) {
  std::string head = boost::json::serialize(message.head);
  if (head.size() > kMaxHeadBytes || message.bytes.size() > kMaxBlobBytes) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("a message '{}' of {} + {} bytes; at most {} + {} can be sent", message.kind(),
                    head.size(), message.bytes.size(), kMaxHeadBytes, kMaxBlobBytes)};
  }
  std::array<char, 2 * kLengthBytes> lengths{};
  put_length(head.size(), lengths.data());
  put_length(message.bytes.size(), lengths.data() + kLengthBytes);
  const std::lock_guard lock(state_->sending);
  const Status sent = send_all(
      state_->fd.get(), {iovec{lengths.data(), lengths.size()}, iovec{head.data(), head.size()},
                         // The system's type; it changes nothing.
                         iovec{const_cast<char*>(message.bytes.data()), message.bytes.size()}});
  // Half a message may be out: nothing after it could be understood.
  if (!sent) shut_down();
  return sent;
}

Result<Message> MessageChannel::receive() {
  const int fd = state_->fd.get();
  std::string text;
  if (Status got = receive_all(fd, 2 * kLengthBytes, text); !got) return got.error();
  const size_t head = get_length(text.data()), blob = get_length(text.data() + kLengthBytes);
  if (head > kMaxHeadBytes || blob > kMaxBlobBytes) {
    return Error{ErrorCode::kCorruptFile,
                 fmt::format("a message of {} + {} bytes was announced; at most {} + {} are sent",
                             head, blob, kMaxHeadBytes, kMaxBlobBytes)};
  }
  Message message;
  if (Status got = receive_all(fd, head, text); !got) return got.error();
  if (Status got = receive_all(fd, blob, message.bytes); !got) return got.error();
  Result<boost::json::value> json = parse_json(text);
  if (!json) return Error{ErrorCode::kCorruptFile, "a message's head: " + json.error().message};
  if (json->is_object()) message.head = std::move(json->get_object());
  if (message.kind().empty())
    return Error{ErrorCode::kCorruptFile, "a message's head is no object with a 'kind'"};
  return message;
}

void MessageChannel::shut_down() { ::shutdown(state_->fd.get(), SHUT_RDWR); }

}  // namespace safelight::jobs
