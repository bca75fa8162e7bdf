#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace safelight::http {

/// The wire format of WebSocket (RFC 6455), the server's side, without extensions.
enum class Opcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

/// Codes of the Close frame.
enum CloseCode : uint16_t {
  kCloseNormal = 1000,
  kCloseGoingAway = 1001,
  kCloseProtocol = 1002,
  kCloseUnsupported = 1003,
  kCloseNotText = 1007,
  kCloseTooBig = 1009,
  kCloseInternal = 1011,
  kCloseTryLater = 1013,
};

/// What stands before the payload of an unmasked, unfragmented frame.
struct FrameHead {
  std::array<char, 10> bytes;
  size_t size = 0;

  FrameHead(Opcode opcode, size_t payload);
  std::string_view view() const { return {bytes.data(), size}; }
};

/// The payload of a Close frame; the reason is cut to what fits.
std::string close_payload(uint16_t code, std::string_view reason);

/// Takes the client's frames apart and puts messages together. Bytes may come in any pieces.
class FrameReader {
 public:
  /// `max_message`: of a whole message in bytes.
  explicit FrameReader(size_t max_message) : max_message_(max_message) {}

  struct Message {
    Opcode opcode = Opcode::kText;  ///< kText, kBinary, kClose, kPing or kPong
    std::string payload;
  };
  /// The code with which the connection has to be closed, and why.
  struct Fault {
    uint16_t code = kCloseProtocol;
    std::string_view reason;
  };

  /// Takes bytes from the front of `bytes`, until a message is complete or none are left. After a
  /// fault the reader must not be used further.
  std::optional<Message> read(std::string_view& bytes);
  const std::optional<Fault>& fault() const { return fault_; }

 private:
  bool read_head(std::string_view& bytes);
  bool parse_head();
  std::optional<Message> end_frame();
  std::optional<Message> fail(uint16_t code, std::string_view reason);

  size_t max_message_;
  std::string head_;  ///< of the current frame, as far as it came
  bool in_payload_ = false;
  bool final_ = false;
  Opcode opcode_ = Opcode::kText;
  std::array<char, 4> mask_{};
  uint64_t left_ = 0;  ///< bytes of the payload that have not come
  size_t masked_ = 0;  ///< bytes of the payload that came
  std::string control_;
  std::string message_;
  std::optional<Opcode> message_opcode_;  ///< while a message is being put together
  std::optional<Fault> fault_;
};

}  // namespace safelight::http
