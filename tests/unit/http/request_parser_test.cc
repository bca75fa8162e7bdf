#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace safelight::http {
namespace {

constexpr size_t kMost = 1024;

/// The status of the fault of a request's head; 0 when it is good, -1 when it is not complete.
int head_status(const std::string& text) {
  RequestParser parser(kMost);
  const RequestParser::Step step = parser.read_head(text);
  if (step.fault) return step.fault->status;
  return step.complete ? 0 : -1;
}

std::string post(const std::string& fields) {
  return "POST /a HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

TEST(RequestParser, ReadsAHeadInAnyPieces) {
  const std::string text = "\r\nGET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:  2 \r\n\r\nrest";
  RequestParser parser(kMost);
  for (size_t size = 0; size + 4 < text.size(); ++size) {
    const auto step = parser.read_head(std::string_view(text).substr(0, size));
    EXPECT_FALSE(step.fault || step.complete) << size;
  }
  const auto step = parser.read_head(text);
  ASSERT_TRUE(step.complete);
  EXPECT_EQ(step.used, text.size() - 4);
  EXPECT_EQ(parser.head().method, "GET");
  EXPECT_EQ(parser.head().target, "/a?b");
  EXPECT_EQ(parser.head().field("X-a"), "1, 2");
  EXPECT_TRUE(parser.head().keep_alive);
  EXPECT_FALSE(parser.head().has_body());
}

TEST(RequestParser, RefusesWhatProxiesReadDifferently) {
  EXPECT_EQ(head_status(post("Content-Length: 3\r\n")), 0);
  EXPECT_EQ(head_status(post("Transfer-Encoding: chunked\r\n")), 0);
  for (const char* fields : {
           "Content-Length: 3\r\nContent-Length: 3\r\n",
           "Content-Length: 3\r\nContent-Length: 4\r\n",
           "Content-Length: 3, 3\r\n",
           "Content-Length: +3\r\n",
           "Content-Length: -3\r\n",
           "Content-Length: 0x3\r\n",
           "Content-Length: 3 4\r\n",
           "Content-Length: 99999999999999999999999\r\n",
           "Content-Length: \r\n",
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding : chunked\r\n",
           "Content-Length : 3\r\n",
           " Content-Length: 3\r\n",
           "Host: other\r\n",
           "X-A: b\x01z\r\n",
           "X A: b\r\n",
           "Content-Length: 3\nX: y\r\n",
           ": b\r\n",
           "noname\r\n",
       }) {
    EXPECT_EQ(head_status(post(fields)), 400) << fields;
  }
  for (const char* coding :
       {"gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;q=1", "gzip"}) {
    EXPECT_EQ(head_status(post("Transfer-Encoding: " + std::string(coding) + "\r\n")), 501)
        << coding;
  }
  EXPECT_EQ(head_status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(RequestParser, RefusesBadRequestLines) {
  EXPECT_EQ(head_status("GET / HTTP/1.1\r\n\r\n"), 400) << "Host is missing";
  EXPECT_EQ(head_status("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(head_status("GET / HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(head_status("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(head_status("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(head_status("PRI * HTTP/2.0\r\n\r\n"), 505);
  EXPECT_EQ(head_status("GET /\r\n\r\n"), 400);
  EXPECT_EQ(head_status("\x16\x03\x01\x02\n"), 400);
}

TEST(RequestParser, LimitsTheHead) {
  EXPECT_EQ(head_status("GET /" + std::string(kMost, 'a')), 414);
  EXPECT_EQ(head_status("GET / HTTP/1.1\r\nX: " + std::string(kMost, 'a')), 431);
  EXPECT_EQ(head_status(std::string(kMost + 2, '\r')), 414);
  std::string empty_lines;
  for (size_t i = 0; i < kMost; ++i) empty_lines += "\r\n";
  EXPECT_NE(head_status(empty_lines), -1);
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 100; ++i) many += "A" + std::to_string(i) + ":\r\n";
  EXPECT_EQ(head_status(many + "\r\n"), 431);
  const std::string exact = "GET / HTTP/1.0\r\nX: \r\n\r\n";
  RequestParser fits(exact.size());
  EXPECT_TRUE(fits.read_head(exact).complete);
  RequestParser small(exact.size() - 1);
  EXPECT_EQ(small.read_head(exact).fault->status, 431);
}

/// The status of a chunked body's fault, or 0 with the body.
std::pair<int, std::string> chunked(std::string_view body, size_t max_body, size_t piece = 1) {
  RequestParser parser(kMost);
  parser.read_head(post("Transfer-Encoding: chunked\r\n"));
  std::string pending;
  for (size_t at = 0; at < body.size(); at += piece) {
    pending += body.substr(at, piece);
    const auto step = parser.read_body(pending, max_body);
    if (step.fault) return {step.fault->status, ""};
    pending.erase(0, step.used);
    if (step.complete) return {0, parser.body()};
  }
  return {-1, parser.body()};
}

TEST(RequestParser, ReadsChunksInAnyPieces) {
  constexpr std::string_view kBody = "3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nT: t\r\n\r\n";
  for (size_t piece = 1; piece <= kBody.size(); ++piece) {
    EXPECT_EQ(chunked(kBody, 13, piece), std::pair(0, std::string("abc0123456789"))) << piece;
  }
}

TEST(RequestParser, LimitsAndChecksChunks) {
  EXPECT_EQ(chunked("3\r\nabc\r\nB\r\n", 13).first, 413);
  EXPECT_EQ(chunked("FFFFFFFFFFFFFFFF\r\n", 13).first, 413);
  EXPECT_EQ(chunked("FFFFFFFFFFFFFFFFF\r\n", 13).first, 400);
  EXPECT_EQ(chunked("3\r\nabcd\r\n0\r\n\r\n", 13).first, 400);
  EXPECT_EQ(chunked("x\r\n", 13).first, 400);
  EXPECT_EQ(chunked("-1\r\n", 13).first, 400);
  EXPECT_EQ(chunked("3\nabc\n0\n\n\r\n", 13).first, 400);
  EXPECT_EQ(chunked("1;" + std::string(20'000, 'x'), 13, 4096).first, 400);
}

TEST(RequestParser, LimitsBodiesByTheirLength) {
  RequestParser parser(kMost);
  parser.read_head(post("Content-Length: 5\r\n"));
  EXPECT_EQ(parser.read_body("", 4).fault->status, 413);
  RequestParser fits(kMost);
  fits.read_head(post("Content-Length: 5\r\n"));
  EXPECT_FALSE(fits.read_body("abc", 5).complete);
  const auto step = fits.read_body("deNEXT", 5);
  EXPECT_TRUE(step.complete);
  EXPECT_EQ(step.used, 2U);
  EXPECT_EQ(fits.body(), "abcde");
}

TEST(RequestParser, ListsHaveWords) {
  RequestParser parser(kMost);
  parser.read_head(post("Connection: keep-alive, Upgrade\r\n"));
  EXPECT_TRUE(parser.head().has_word("connection", "upgrade"));
  EXPECT_TRUE(parser.head().has_word("connection", "keep-alive"));
  EXPECT_FALSE(parser.head().has_word("connection", "keep"));
  EXPECT_FALSE(parser.head().has_word("upgrade", "websocket"));
}

}  // namespace
}  // namespace safelight::http
