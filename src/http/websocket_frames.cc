#include "http/websocket_frames.h"

#include <algorithm>

#include "base/text.h"

namespace safelight::http {
namespace {

constexpr size_t kMostControl = 125;

bool is_control(Opcode opcode) { return (static_cast<uint8_t>(opcode) & 8) != 0; }

bool is_known(Opcode opcode) {
  switch (opcode) {
    case Opcode::kContinuation:
    case Opcode::kText:
    case Opcode::kBinary:
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      return true;
  }
  return false;
}

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

/// Whether a Close frame of a client may carry it (RFC 6455, 7.4).
bool may_be_sent(uint64_t code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

FrameHead::FrameHead(Opcode opcode, size_t payload) : bytes{} {
  bytes[0] = static_cast<char>(0x80 | static_cast<uint8_t>(opcode));
  size_t length_bytes = 0;
  if (payload < 126) {
    bytes[1] = static_cast<char>(payload);
  } else {
    length_bytes = payload <= 0xFFFF ? 2 : 8;
    bytes[1] = static_cast<char>(length_bytes == 2 ? 126 : 127);
  }
  for (size_t i = 0; i < length_bytes; ++i) {
    bytes[2 + i] = static_cast<char>(static_cast<uint64_t>(payload) >> 8 * (length_bytes - 1 - i));
  }
  size = 2 + length_bytes;
}

std::string close_payload(uint16_t code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  return payload.append(utf8_prefix(reason, kMostControl - payload.size()));
}

std::optional<FrameReader::Message> FrameReader::fail(uint16_t code, std::string_view reason) {
  fault_ = {code, reason};
  return std::nullopt;
}

/// True when the frame's head is complete, with `left_` and `mask_` set.
bool FrameReader::read_head(std::string_view& bytes) {
  while (!bytes.empty()) {
    size_t wanted = 2;
    if (head_.size() >= 2) {
      const int length = head_[1] & 0x7F;
      wanted = size_t{2} + (length == 127 ? 8 : length == 126 ? 2 : 0) + mask_.size();
    }
    const size_t taken = std::min(wanted - head_.size(), bytes.size());
    head_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (head_.size() == 2 && !parse_head()) return false;
    if (head_.size() == wanted && wanted > 2) {
      const std::string_view length = std::string_view(head_).substr(2, wanted - 6);
      left_ = length.empty() ? static_cast<uint64_t>(head_[1] & 0x7F) : big_endian(length);
      std::copy_n(head_.end() - 4, 4, mask_.begin());
      head_.clear();
      return true;
    }
  }
  return false;
}

/// Checks the first two bytes.
bool FrameReader::parse_head() {
  final_ = (head_[0] & 0x80) != 0;
  opcode_ = static_cast<Opcode>(head_[0] & 0x0F);
  if ((head_[0] & 0x70) != 0 || !is_known(opcode_)) {
    fail(kCloseProtocol, "reserved bits or opcode");
  } else if ((head_[1] & 0x80) == 0) {
    fail(kCloseProtocol, "frames of a client are masked");
  } else if (is_control(opcode_)) {
    if (!final_ || (head_[1] & 0x7F) > static_cast<int>(kMostControl)) {
      fail(kCloseProtocol, "control frames are whole and short");
    }
  } else if ((opcode_ == Opcode::kContinuation) != message_opcode_.has_value()) {
    fail(kCloseProtocol, "a continuation belongs to a message");
  }
  return !fault_;
}

std::optional<FrameReader::Message> FrameReader::read(std::string_view& bytes) {
  while (!fault_) {
    if (!in_payload_) {
      if (!read_head(bytes)) return std::nullopt;
      if (!is_control(opcode_) && (left_ > max_message_ || message_.size() + left_ > max_message_))
        return fail(kCloseTooBig, "the message is too long");
      in_payload_ = true;
      masked_ = 0;
    }
    std::string& into = is_control(opcode_) ? control_ : message_;
    const size_t taken = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
    for (size_t i = 0; i < taken; ++i) into += static_cast<char>(bytes[i] ^ mask_[masked_++ % 4]);
    bytes.remove_prefix(taken);
    left_ -= taken;
    if (left_ > 0) return std::nullopt;
    in_payload_ = false;
    if (auto message = end_frame()) return message;
  }
  return std::nullopt;
}

std::optional<FrameReader::Message> FrameReader::end_frame() {
  if (is_control(opcode_)) {
    Message message{opcode_, std::move(control_)};
    control_.clear();
    if (opcode_ == Opcode::kClose && !message.payload.empty()) {
      const std::string_view payload = message.payload;
      if (payload.size() == 1 || !may_be_sent(big_endian(payload.substr(0, 2)))) {
        return fail(kCloseProtocol, "bad close code");
      }
      if (find_invalid_utf8(payload.substr(2)) != std::string_view::npos) {
        return fail(kCloseNotText, "the reason is not UTF-8");
      }
    }
    return message;
  }
  if (!message_opcode_) message_opcode_ = opcode_;
  if (!final_) return std::nullopt;
  Message message{*message_opcode_, std::move(message_)};
  message_.clear();
  message_opcode_.reset();
  if (message.opcode == Opcode::kText &&
      find_invalid_utf8(message.payload) != std::string_view::npos) {
    return fail(kCloseNotText, "the message is not UTF-8");
  }
  return message;
}

}  // namespace safelight::http
