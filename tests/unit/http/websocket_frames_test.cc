#include "http/websocket_frames.h"

#include <gtest/gtest.h>

#include <vector>

namespace safelight::http {
namespace {

/// A client's frame, masked.
std::string masked(int first_byte, std::string_view payload) {
  std::string frame(1, static_cast<char>(first_byte));
  const size_t size = payload.size();
  if (size < 126) {
    frame += static_cast<char>(0x80 | size);
  } else {
    const int bytes = size <= 0xFFFF ? 2 : 8;
    frame += static_cast<char>(0x80 | (bytes == 2 ? 126 : 127));
    for (int i = bytes - 1; i >= 0; --i) frame += static_cast<char>(size >> 8 * i);
  }
  constexpr std::string_view kMask = "\x12\x34\x56\x78";
  frame += kMask;
  for (size_t i = 0; i < size; ++i) frame += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return frame;
}

struct Reading {
  std::vector<std::pair<Opcode, std::string>> messages;
  int fault = 0;
};

Reading read_all(const std::string& bytes, size_t max_message = 1000, size_t piece = SIZE_MAX) {
  FrameReader reader(max_message);
  Reading reading;
  for (size_t at = 0; at < bytes.size() && !reader.fault(); at += std::min(piece, bytes.size())) {
    std::string_view part = std::string_view(bytes).substr(at, piece);
    while (auto message = reader.read(part)) {
      reading.messages.emplace_back(message->opcode, message->payload);
    }
  }
  if (reader.fault()) reading.fault = reader.fault()->code;
  return reading;
}

TEST(Frames, HeadsHaveTheShortestLength) {
  EXPECT_EQ(FrameHead(Opcode::kText, 5).view(), "\x81\x05");
  EXPECT_EQ(FrameHead(Opcode::kPing, 0).view(), std::string_view("\x89\x00", 2));
  EXPECT_EQ(FrameHead(Opcode::kText, 126).view(), std::string_view("\x81\x7E\x00\x7E", 4));
  EXPECT_EQ(FrameHead(Opcode::kText, 65536).view(),
            std::string_view("\x81\x7F\0\0\0\0\0\x01\0\0", 10));
}

TEST(Frames, MessagesComeWholeFromAnyPieces) {
  const std::string bytes = masked(0x81, "hello") + masked(0x01, "a") + masked(0x89, "ping") +
                            masked(0x00, "b") + masked(0x80, "c") +
                            masked(0x82, std::string(300, 'x')) + masked(0x81, "") +
                            masked(0x88, std::string("\x03\xE8") + "bye");
  for (size_t piece : {size_t{1}, size_t{2}, size_t{7}, bytes.size()}) {
    const Reading reading = read_all(bytes, 1000, piece);
    EXPECT_EQ(reading.fault, 0);
    ASSERT_EQ(reading.messages.size(), 6U) << piece;
    EXPECT_EQ(reading.messages[0], std::pair(Opcode::kText, std::string("hello")));
    EXPECT_EQ(reading.messages[1], std::pair(Opcode::kPing, std::string("ping")));
    EXPECT_EQ(reading.messages[2], std::pair(Opcode::kText, std::string("abc")));
    EXPECT_EQ(reading.messages[3], std::pair(Opcode::kBinary, std::string(300, 'x')));
    EXPECT_EQ(reading.messages[4], std::pair(Opcode::kText, std::string()));
    EXPECT_EQ(reading.messages[5], std::pair(Opcode::kClose, std::string("\x03\xE8") + "bye"));
  }
}

TEST(Frames, WhatTheProtocolForbidsIsAFault) {
  EXPECT_EQ(read_all(std::string("\x81\x01x", 3)).fault, 1002) << "not masked";
  EXPECT_EQ(read_all(masked(0xC1, "a")).fault, 1002) << "reserved bit";
  EXPECT_EQ(read_all(masked(0x83, "a")).fault, 1002) << "reserved opcode";
  EXPECT_EQ(read_all(masked(0x80, "a")).fault, 1002) << "continuation of nothing";
  EXPECT_EQ(read_all(masked(0x01, "a") + masked(0x81, "b")).fault, 1002) << "a message in another";
  EXPECT_EQ(read_all(masked(0x09, "a")).fault, 1002) << "a control frame in parts";
  EXPECT_EQ(read_all(masked(0x89, std::string(126, 'a'))).fault, 1002) << "a long control frame";
  EXPECT_EQ(read_all(masked(0x88, "a")).fault, 1002) << "half a close code";
  EXPECT_EQ(read_all(masked(0x88, "\x03\xED")).fault, 1002) << "1005 is never sent";
  EXPECT_EQ(read_all(masked(0x88, std::string("\x03\xE8\xFF"))).fault, 1007);
  EXPECT_EQ(read_all(masked(0x81, "\xFF")).fault, 1007);
}

TEST(Frames, MessagesAreLimited) {
  EXPECT_EQ(read_all(masked(0x81, std::string(1000, 'a'))).fault, 0);
  EXPECT_EQ(read_all(masked(0x81, std::string(1001, 'a'))).fault, 1009);
  EXPECT_EQ(
      read_all(masked(0x01, std::string(600, 'a')) + masked(0x80, std::string(401, 'a'))).fault,
      1009);
  EXPECT_EQ(read_all(std::string("\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10) + "mask").fault,
            1009);
}

TEST(Frames, CloseReasonsAreCut) {
  EXPECT_EQ(close_payload(1000, "ok"), "\x03\xE8ok");
  const std::string payload = close_payload(1011, std::string(122, 'a') + "\xC3\xA4");
  EXPECT_EQ(payload.size(), 124U) << "no character is cut";
}

}  // namespace
}  // namespace safelight::http
