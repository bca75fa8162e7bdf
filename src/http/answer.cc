#include "http/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>
#include <ctime>

#include "http/gzip.h"

namespace safelight::http {
namespace {

using boost::beast::iequals;

/// The date in the form of RFC 9110, made once a second.
std::string_view http_date() {
  thread_local std::time_t made = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != made) {
    constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    gmtime_r(&now, &t);
    text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[t.tm_wday], t.tm_mday,
                       kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    made = now;
  }
  return text;
}

std::string_view reason_of(int status) {
  if (status == 499) return "Client Closed Request";
  const auto reason = boost::beast::http::obsolete_reason(
      boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

bool has_header(const Reply& reply, std::string_view name) {
  return std::any_of(reply.headers.begin(), reply.headers.end(),
                     [&](const auto& header) { return iequals(header.first, name); });
}

void add(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  for (char c : value) head += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  head += "\r\n";
}

/// Headers that the handler may set in its own way.
void add_defaults(std::string& head, const Reply& reply) {
  if (!has_header(reply, "Cache-Control")) add(head, "Cache-Control", "no-store");
  if (!reply.content_type.starts_with("text/html")) return;
  if (!has_header(reply, "Content-Security-Policy")) {
    add(head, "Content-Security-Policy", "frame-ancestors 'none'");
  }
  if (!has_header(reply, "Referrer-Policy")) add(head, "Referrer-Policy", "same-origin");
}

bool is_token_list(std::string_view text) {
  return text.size() <= 1024 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == ',' || c == ' ';
         });
}

}  // namespace

std::string answer_head(const Reply& reply, const AnswerFrame& frame) {
  std::string head;
  head.reserve(512);
  head += fmt::format("HTTP/1.1 {} {}\r\n", reply.status, reason_of(reply.status));
  add(head, "Date", http_date());
  add(head, "Server", "Safelight");
  const bool no_content = reply.status < 200 || reply.status == 204 || reply.status == 304;
  if (!reply.content_type.empty() && !no_content) add(head, "Content-Type", reply.content_type);
  if (frame.content_length && !no_content) {
    add(head, "Content-Length", fmt::format("{}", *frame.content_length));
  }
  if (frame.chunked) add(head, "Transfer-Encoding", "chunked");
  if (reply.status != 101) {
    if (!frame.keep_alive) add(head, "Connection", "close");
    if (frame.keep_alive && frame.http_1_0) add(head, "Connection", "keep-alive");
    add_defaults(head, reply);
    add(head, "X-Content-Type-Options", "nosniff");
  }
  add(head, "X-Request-Id", frame.request_id);
  if (!frame.traceparent.empty()) add(head, "traceparent", frame.traceparent);
  if (!frame.allowed_origin.empty()) {
    add(head, "Access-Control-Allow-Origin", frame.allowed_origin);
    add(head, "Access-Control-Expose-Headers",
        "X-Request-Id, Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, "
        "RateLimit-Reset, ETag, Content-Range");
  }
  if (frame.varies_by_origin) add(head, "Vary", "Origin");
  for (const auto& [name, value] : reply.headers) add(head, name, value);
  if (frame.more != nullptr) {
    for (const auto& [name, value] : *frame.more) add(head, name, value);
  }
  head += "\r\n";
  return head;
}

bool is_allowed_origin(const ServerOptions& options, std::string_view origin) {
  return !origin.empty() && std::find(options.cors_origins.begin(), options.cors_origins.end(),
                                      origin) != options.cors_origins.end();
}

Reply preflight_reply(std::string_view allow, std::string_view requested_headers) {
  Reply reply{.status = 204};
  reply.headers.emplace_back("Access-Control-Allow-Methods", allow);
  if (!requested_headers.empty() && is_token_list(requested_headers)) {
    reply.headers.emplace_back("Access-Control-Allow-Headers", requested_headers);
  }
  reply.headers.emplace_back("Access-Control-Max-Age", "600");
  return reply;
}

bool is_worth_gzip(const Reply& reply, std::string_view accept_encoding, size_t compress_from) {
  return reply.body.size() >= compress_from && reply.status != 206 &&
         is_compressible(reply.content_type) && !has_header(reply, "Content-Encoding") &&
         accepts_gzip(accept_encoding);
}

void gzip_reply(Reply& reply) {
  constexpr size_t kLarge = size_t{64} * 1024;
  reply.body = gzip(reply.body, reply.body.size() < kLarge ? 5 : 1);
  reply.headers.emplace_back("Content-Encoding", "gzip");
  reply.headers.emplace_back("Vary", "Accept-Encoding");
  for (auto& [name, value] : reply.headers) {
    // Packed, it is no longer the same bytes.
    if (iequals(name, "ETag") && value.starts_with('"')) value.insert(0, "W/");
  }
}

ErrorForm form_of_path(std::string_view path) {
  const auto is_in = [&](std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
  };
  if (is_in("/sdapi") || is_in("/internal")) return ErrorForm::kSdWebUi;
  if (is_in("/v1")) return ErrorForm::kOpenAi;
  return ErrorForm::kNative;
}

}  // namespace safelight::http
