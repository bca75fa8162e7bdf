// Fuzzes WebSocket frames: limits hold, and pieces give the same messages as the whole.
#include "http/websocket_frames.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

constexpr size_t kMaxMessage = 1000;

std::string messages(std::string_view bytes, size_t piece) {
  using namespace safelight::http;
  FrameReader reader(kMaxMessage);
  std::string text;
  for (size_t at = 0; at < bytes.size() && !reader.fault(); at += piece) {
    std::string_view part = bytes.substr(at, piece);
    while (auto message = reader.read(part)) {
      if (message->payload.size() > kMaxMessage) std::abort();
      text += std::to_string(static_cast<int>(message->opcode)) + message->payload + "\n";
    }
  }
  return reader.fault() ? text + std::to_string(reader.fault()->code) : text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (messages(bytes, size + 1) != messages(bytes, 3)) std::abort();
  return 0;
}
