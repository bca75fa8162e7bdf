#include "http/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "base/text.h"

namespace safelight::http {
namespace {

namespace beast = boost::beast;

constexpr size_t kMostFields = 100;
/// Of the extensions of a chunk, or of trailers.
constexpr size_t kMostPending = size_t{16} * 1024;

/// Fields that must stand there once: two of them could be read differently by a proxy.
constexpr std::string_view kSingles[] = {
    "host",         "content-length", "transfer-encoding", "authorization",
    "content-type", "origin",         "sec-websocket-key"};

Fault bad_request(std::string message, int status = 400) {
  return {status, {ErrorCode::kInvalidArgument, std::move(message)}};
}

bool is_single(std::string_view name) {
  return std::any_of(std::begin(kSingles), std::end(kSingles),
                     [&](std::string_view single) { return beast::iequals(name, single); });
}

std::optional<Fault> check_framing(const RequestHead& head) {
  const std::string_view coding = head.field("transfer-encoding");
  if (!coding.empty()) {
    if (!beast::iequals(coding, "chunked")) {
      return bad_request(fmt::format("Transfer-Encoding is '{}'; only 'chunked' is read", coding),
                         501);
    }
    if (head.http_1_0) return bad_request("Transfer-Encoding does not exist in HTTP/1.0");
    if (head.content_length) {
      return bad_request("both Content-Length and Transfer-Encoding are given; send one");
    }
  }
  const std::string_view length = head.field("content-length");
  if (length.find_first_not_of("0123456789") != std::string_view::npos) {
    return bad_request(fmt::format("Content-Length is '{}'; one number is needed", length));
  }
  if (!head.http_1_0 && head.field("host").empty()) return bad_request("Host is missing");
  return std::nullopt;
}

Fault from_beast(const beast::error_code& failure) {
  using beast::http::error;
  if (failure == error::body_limit) {
    return {413, {ErrorCode::kInvalidArgument, "the body is larger than this path takes"}};
  }
  if (failure == error::bad_version) {
    return bad_request("the version of HTTP is not 1.0 or 1.1", 505);
  }
  return bad_request(fmt::format("this is no HTTP/1.1 request: {}", failure.message()));
}

}  // namespace

std::string_view RequestHead::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (beast::iequals(key, name)) return value;
  }
  return {};
}

bool RequestHead::has_word(std::string_view name, std::string_view word) const {
  std::string_view rest = field(name);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    if (beast::iequals(trimmed(rest.substr(0, comma)), word)) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

/// Beast's parser, which calls these; trailers are read and dropped.
class RequestParser::Parser final : public beast::http::basic_parser<true> {
 public:
  RequestHead head;
  std::string body;
  std::optional<Fault> fault;

 private:
  using Verb = beast::http::verb;
  using Field = beast::http::field;
  using View = beast::string_view;
  using Code = beast::error_code;

  void on_request_impl(Verb, View method, View target, int version, Code&) override {
    head.method = std::string(method);
    head.target = std::string(target);
    head.http_1_0 = version == 10;
  }
  void on_field_impl(Field, View name, View value, Code& failure) override {
    if (is_header_done()) return;
    const auto same = std::find_if(head.fields.begin(), head.fields.end(), [&](const auto& field) {
      return beast::iequals(field.first, name);
    });
    const std::string_view key(name.data(), name.size());
    if (same != head.fields.end() && is_single(key)) {
      fault = bad_request(fmt::format("{} is given twice", key));
    } else if (head.fields.size() == kMostFields) {
      fault = bad_request(fmt::format("more than {} header fields", kMostFields), 431);
    } else if (same != head.fields.end()) {
      same->second.append(beast::iequals(name, "cookie") ? "; " : ", ").append(value);
    } else {
      head.fields.emplace_back(std::string(name), std::string(value));
    }
    if (fault) failure = beast::http::error::bad_field;
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, Code&) override {}
  size_t on_body_impl(View part, Code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(uint64_t, View, Code&) override {}
  size_t on_chunk_body_impl(uint64_t, View part, Code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_finish_impl(Code&) override {}
  void on_response_impl(int, View, int, Code&) override {}
};

RequestParser::RequestParser(size_t max_head_bytes)
    : max_head_(max_head_bytes), parser_(std::make_unique<Parser>()) {
  parser_->header_limit(static_cast<uint32_t>(std::min<size_t>(max_head_bytes, UINT32_MAX)));
  parser_->body_limit(boost::none);
}

RequestParser::~RequestParser() = default;

RequestHead& RequestParser::head() { return parser_->head; }
std::string& RequestParser::body() { return parser_->body; }

RequestParser::Step RequestParser::read_head(std::string_view received) {
  // Empty lines before a request are left over from clients that end a body with one too many.
  size_t begin = 0;
  while (received.substr(begin).starts_with("\r\n")) begin += 2;
  scanned_ = std::max(scanned_, begin);
  for (;;) {
    const size_t line_end = received.find('\n', scanned_);
    if (line_end == std::string_view::npos) break;
    if (line_end == 0 || received[line_end - 1] != '\r') {
      return {.fault = bad_request("a line of the head does not end with CR LF")};
    }
    if (received[scanned_] == ' ' || received[scanned_] == '\t') {
      return {.fault = bad_request("a line of the head begins with white space")};
    }
    scanned_ = line_end + 1;
    if (line_end >= begin + 3 && received.substr(line_end - 3, 4) == "\r\n\r\n") {
      if (scanned_ - begin > max_head_) break;
      return parse_head(received, begin, scanned_);
    }
  }
  if (received.size() - begin < max_head_ && begin <= max_head_) return {};
  const bool in_first_line = received.find('\n', begin) == std::string_view::npos;
  return {.fault = bad_request(fmt::format("the {} is longer than {} bytes",
                                           in_first_line ? "target" : "head", max_head_),
                               in_first_line ? 414 : 431)};
}

RequestParser::Step RequestParser::parse_head(std::string_view received, size_t begin, size_t end) {
  beast::error_code failure;
  parser_->put(boost::asio::buffer(received.data() + begin, end - begin), failure);
  if (parser_->fault) return {.fault = parser_->fault};
  if (failure) return {.fault = from_beast(failure)};
  if (!parser_->is_header_done()) return {.fault = bad_request("the head ends too early")};
  RequestHead& head = parser_->head;
  if (const auto length = parser_->content_length()) head.content_length = *length;
  head.chunked = parser_->chunked();
  head.keep_alive = parser_->keep_alive();
  return {.used = end, .complete = true, .fault = check_framing(head)};
}

RequestParser::Step RequestParser::read_body(std::string_view received, size_t max_body) {
  Step step;
  if (!parser_->eager()) {
    parser_->eager(true);
    if (parser_->head.content_length.value_or(0) > max_body) {
      step.fault = from_beast(beast::http::error::body_limit);
      return step;
    }
    parser_->body_limit(max_body);
  }
  while (!parser_->is_done() && step.used < received.size()) {
    beast::error_code failure;
    const size_t used = parser_->put(
        boost::asio::buffer(received.data() + step.used, received.size() - step.used), failure);
    step.used += used;
    if (failure == beast::http::error::need_more) {
      if (received.size() - step.used > kMostPending) {
        step.fault = bad_request("a chunk's head is too long");
      }
      break;
    }
    if (failure) {
      step.fault = from_beast(failure);
      break;
    }
  }
  step.complete = parser_->is_done();
  return step;
}

}  // namespace safelight::http
