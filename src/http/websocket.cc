#include "http/websocket.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace safelight::http {
namespace asio = boost::asio;

namespace {

constexpr size_t kReadBytes = 4096;
constexpr size_t kMostInbox = 16;  ///< messages that wait for the handler; then the client waits
constexpr size_t kBatchFrames = 32;
constexpr size_t kBatchBytes = size_t{256} * 1024;
constexpr auto kCloseWait = std::chrono::seconds(5);
constexpr auto kNever = Clock::time_point::max();

std::string base64(const unsigned char* bytes, size_t size) {
  std::string text(4 * ((size + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size));
  text.resize(static_cast<size_t>(length));
  return text;
}

}  // namespace

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return base64(digest.data(), size);
}

bool is_websocket_key(std::string_view key) {
  std::array<unsigned char, 18> bytes{};
  return key.size() == 24 && key.ends_with("==") &&
         EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(key.data()), 24) ==
             18;
}

WebSocket::WebSocket(Transport& transport, const ServerOptions& options)
    : transport_(transport), options_(options), event_(transport.executor(), kNever) {}

void WebSocket::start(std::string received) {
  reading_ = true;
  asio::co_spawn(
      transport_.executor(),
      [self = shared_from_this(), bytes = std::move(received)]() mutable {
        return self->read_loop(std::move(bytes));
      },
      asio::detached);
}

Awaitable<void> WebSocket::wait() {
  co_await event_.async_wait(asio::as_tuple(asio::use_awaitable));
}

Awaitable<std::optional<std::string>> WebSocket::receive() {
  while (inbox_.empty() && !ended_) co_await wait();
  std::optional<std::string> message;
  if (!inbox_.empty()) {
    message = std::move(inbox_.front());
    inbox_.pop_front();
    wake();
  }
  co_return message;
}

bool WebSocket::send(std::shared_ptr<const std::string> text) {
  return push({Opcode::kText, std::move(text)});
}

void WebSocket::close(int code, std::string_view reason) {
  push({Opcode::kClose,
        std::make_shared<const std::string>(close_payload(static_cast<uint16_t>(code), reason))});
}

/// Queues the frame and sees to it that somebody writes.
bool WebSocket::push(Frame frame) {
  {
    const std::lock_guard lock(mutex_);
    const size_t bytes = frame.payload->size();
    const bool is_close = frame.opcode == Opcode::kClose;
    if (closing_) return false;
    if (!is_close && (queued_ >= options_.max_queued_messages ||
                      (queued_ > 0 && queued_bytes_ + bytes > options_.max_queued_bytes))) {
      return false;
    }
    closing_ = is_close;
    queue_.push_back(std::move(frame));
    queued_bytes_ += bytes;
    ++queued_;
    if (writing_) return true;
    writing_ = true;
  }
  asio::co_spawn(
      transport_.executor(), [self = shared_from_this()] { return self->write_loop(); },
      asio::detached);
  return true;
}

/// What is written next, by one system call; empty, and `writing_` off, when nothing is.
std::vector<WebSocket::Frame> WebSocket::take_batch() {
  const std::lock_guard lock(mutex_);
  std::vector<Frame> batch;
  for (size_t bytes = 0; !queue_.empty() && batch.size() < kBatchFrames && bytes < kBatchBytes;) {
    bytes += queue_.front().payload->size();
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  writing_ = !batch.empty();
  return batch;
}

Awaitable<void> WebSocket::write_loop() {
  for (;;) {
    const std::vector<Frame> batch = take_batch();
    if (batch.empty()) break;
    std::vector<FrameHead> heads;
    heads.reserve(batch.size());
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(2 * batch.size());
    size_t bytes = 0;
    for (const Frame& frame : batch) {
      heads.emplace_back(frame.opcode, frame.payload->size());
      buffers.push_back(asio::buffer(heads.back().view()));
      buffers.push_back(asio::buffer(*frame.payload));
      bytes += frame.payload->size();
    }
    if (!co_await transport_.write(buffers)) {
      lose();
      break;
    }
    const std::lock_guard lock(mutex_);
    queued_bytes_ -= bytes;
    queued_ -= batch.size();
    if (batch.back().opcode == Opcode::kClose) close_deadline_ = Clock::now() + kCloseWait;
  }
  wake();
}

/// The client has gone, or is taken for gone.
void WebSocket::lose() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    writing_ = false;
    queue_.clear();
    queued_ = queued_bytes_ = 0;
  }
  transport_.close();
  ended_ = true;
}

Awaitable<void> WebSocket::read_loop(std::string received) {
  FrameReader reader(options_.max_message);
  std::string_view bytes = received;
  bool open = true;
  while (open) {
    while (open) {
      std::optional<FrameReader::Message> message = reader.read(bytes);
      if (!message) break;
      open = co_await take(std::move(*message));
    }
    if (reader.fault()) {
      close(reader.fault()->code, reader.fault()->reason);
      open = false;
    }
    if (!open) break;
    received.resize(kReadBytes);
    const Transport::Read read = co_await transport_.read_some(asio::buffer(received), kNever);
    if (read.outcome != Transport::Outcome::kData) {
      lose();
      break;
    }
    last_heard_ = Clock::now();
    ping_sent_ = false;
    bytes = std::string_view(received).substr(0, read.bytes);
  }
  ended_ = true;
  reading_ = false;
  wake();
}

/// Acts on a message; false when it was the last.
Awaitable<bool> WebSocket::take(FrameReader::Message message) {
  switch (message.opcode) {
    case Opcode::kPing:
      push({Opcode::kPong, std::make_shared<const std::string>(std::move(message.payload))});
      co_return true;
    case Opcode::kClose:
      // The code is sent back, as a good-bye (RFC 6455, 5.5.1).
      push({Opcode::kClose, std::make_shared<const std::string>(message.payload.substr(0, 2))});
      co_return false;
    case Opcode::kBinary:
      close(kCloseUnsupported, "text messages are needed");
      co_return false;
    case Opcode::kText:
      break;
    default:
      co_return true;
  }
  const auto is_closing = [this] {
    const std::lock_guard lock(mutex_);
    return closing_;
  };
  while (inbox_.size() >= kMostInbox && !is_closing()) co_await wait();
  if (!is_closing()) {
    inbox_.push_back(std::move(message.payload));
    wake();
  }
  co_return true;
}

Awaitable<void> WebSocket::finish() {
  close(kCloseNormal, "");
  wake();
  const auto is_writing = [this] {
    const std::lock_guard lock(mutex_);
    return writing_;
  };
  while (reading_ || is_writing()) co_await wait();
}

void WebSocket::tick(Clock::time_point now) {
  if (now >= close_deadline_) return transport_.close();
  // A client that waits for the handler is not silent.
  if (inbox_.size() >= kMostInbox) last_heard_ = now;
  const auto silent = now - last_heard_;
  if (silent > options_.ping_interval * 5 / 2) {
    lose();
    wake();
  } else if (silent > options_.ping_interval && !ping_sent_) {
    ping_sent_ = true;
    push({Opcode::kPing, std::make_shared<const std::string>()});
  }
}

}  // namespace safelight::http
