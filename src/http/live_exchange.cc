#include "http/live_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/string.hpp>

namespace safelight::http {
namespace asio = boost::asio;

namespace {

/// From here on packing is left to a thread that may block.
constexpr size_t kPackElsewhere = size_t{64} * 1024;

/// The first of a list.
std::string_view first_word(std::string_view list) {
  list = list.substr(0, std::min(list.find(','), list.size()));
  while (list.ends_with(' ')) list.remove_suffix(1);
  return list;
}

/// A host with or without port, as far as links need it to be sound.
bool is_host(std::string_view text) {
  return !text.empty() && text.size() < 256 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == ':' || c == '[' || c == ']';
  });
}

void set_field(RequestHead& head, std::string_view name, std::string_view value) {
  for (auto& [key, old] : head.fields) {
    if (boost::beast::iequals(key, name)) {
      old = value;
      return;
    }
  }
  head.fields.emplace_back(name, value);
}

void remove_field(RequestHead& head, std::string_view name) {
  std::erase_if(head.fields,
                [&](const auto& field) { return boost::beast::iequals(field.first, name); });
}

}  // namespace

LiveExchange::LiveExchange(Core& core, Transport& transport, RequestParser& parser,
                           const asio::ip::address& peer)
    : core_(core),
      transport_(transport),
      parser_(parser),
      head_(parser.head()),
      client_address_(peer.to_string()),
      scheme_(transport.is_tls() ? "https" : "http") {
  const std::string_view id = header("x-request-id");
  request_id_ = is_request_id(id) ? std::string(id) : make_request_id();
  if (!is_traceparent(header("traceparent"))) remove_field(head_, "traceparent");
  if (core.proxies.contains(peer)) believe_proxy();
  keep_alive = head_.keep_alive;
}

void LiveExchange::believe_proxy() {
  client_address_ = forwarded_client(core_.proxies, header("x-forwarded-for"), client_address_);
  const std::string_view scheme = first_word(header("x-forwarded-proto"));
  if (scheme == "http" || scheme == "https") scheme_ = scheme;
  const std::string host(first_word(header("x-forwarded-host")));
  if (is_host(host)) set_field(head_, "host", host);
}

Status LiveExchange::decode() {
  Result<Target> target = parse_target(head_.target);
  if (!target) return target.error();
  target_ = std::move(*target);
  // The absolute form goes before Host (RFC 9112, 3.2.2).
  if (!target_.authority.empty()) set_field(head_, "host", target_.authority);
  const std::string& subpath = core_.options.subpath;
  if (!subpath.empty() && target_.path.starts_with(subpath)) {
    const std::string_view rest = std::string_view(target_.path).substr(subpath.size());
    if (rest.empty() || rest.starts_with('/')) {
      bare_subpath_ = rest.empty();
      target_.path = rest.empty() ? "/" : std::string(rest);
      prefix_ = subpath;
    }
  }
  return {};
}

void LiveExchange::find_route() {
  match_ = core_.router.find(head_.method, target_.path, is_upgrade());
}

std::optional<std::string> LiveExchange::query(std::string_view name) const {
  for (const auto& [key, value] : target_.query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string_view LiveExchange::param(std::string_view name) const {
  for (const auto& [key, value] : match_.params) {
    if (key == name) return value;
  }
  return {};
}

std::string LiveExchange::base_url() const {
  const std::string_view host = header("host");
  return fmt::format("{}://{}{}", scheme_,
                     is_host(host)
                         ? std::string(host)
                         : fmt::format("{}:{}", core_.options.address, core_.options.port),
                     prefix_);
}

bool LiveExchange::is_upgrade() const {
  return head_.method == "GET" && !head_.http_1_0 && head_.has_word("connection", "upgrade") &&
         head_.has_word("upgrade", "websocket");
}

ErrorForm LiveExchange::error_form() const {
  return match_.route != nullptr ? match_.route->options.errors : form_of_path(target_.path);
}

std::string_view LiveExchange::allowed_origin() const {
  const std::string_view origin = header("origin");
  return is_allowed_origin(core_.options, origin) ? origin : std::string_view();
}

AnswerFrame LiveExchange::frame() const {
  return {.keep_alive = keep_alive,
          .http_1_0 = head_.http_1_0,
          .request_id = request_id_,
          .traceparent = header("traceparent"),
          .allowed_origin = allowed_origin(),
          .varies_by_origin = !core_.options.cors_origins.empty(),
          .more = &admission.headers};
}

Awaitable<bool> LiveExchange::send(Reply reply) {
  if (reply.error) reply.body = error_body(*reply.error, request_id_);
  if (is_worth_gzip(reply, header("accept-encoding"), core_.options.compress_from)) {
    if (reply.body.size() < kPackElsewhere) {
      gzip_reply(reply);
    } else {
      co_await run_blocking([&] { gzip_reply(reply); });
    }
  }
  keep_alive = keep_alive && !core_.stopping;
  status_ = reply.status;
  AnswerFrame framing = frame();
  framing.content_length = reply.body.size();
  const std::string head = answer_head(reply, framing);
  std::array<asio::const_buffer, 2> buffers = {asio::buffer(head), asio::buffer(reply.body)};
  const bool no_body = head_.method == "HEAD" || reply.status == 204 || reply.status == 304;
  if (no_body) buffers[1] = {};
  co_return co_await transport_.write(buffers);
}

Awaitable<bool> LiveExchange::send_upgrade(Reply reply) {
  status_ = reply.status;
  const std::string head = answer_head(reply, frame());
  const asio::const_buffer buffer = asio::buffer(head);
  co_return co_await transport_.write({&buffer, 1});
}

Awaitable<ReplyStream*> LiveExchange::stream(Reply reply) {
  streaming_ = true;
  chunked_ = !head_.http_1_0;
  if (head_.http_1_0) keep_alive = false;
  keep_alive = keep_alive && !core_.stopping;
  status_ = reply.status;
  // Proxies hold parts back unless told.
  reply.headers.emplace_back("X-Accel-Buffering", "no");
  AnswerFrame framing = frame();
  framing.chunked = chunked_;
  const std::string head = answer_head(reply, framing);
  const asio::const_buffer buffer = asio::buffer(head);
  stream_sound_ = co_await transport_.write({&buffer, 1});
  if (!reply.body.empty()) co_await write(reply.body);
  ReplyStream* parts = this;
  co_return parts;
}

Awaitable<bool> LiveExchange::write(std::string_view part) {
  // An answer to HEAD has no parts.
  if (!stream_sound_ || head_.method == "HEAD") co_return false;
  // An empty chunk would be the end.
  if (part.empty()) co_return connected();
  std::string chunk_head;
  if (chunked_) chunk_head = fmt::format("{:x}\r\n", part.size());
  const std::array<asio::const_buffer, 3> buffers = {
      asio::buffer(chunk_head), asio::buffer(part),
      asio::buffer(std::string_view(chunked_ ? "\r\n" : ""))};
  stream_sound_ = co_await transport_.write(buffers);
  co_return stream_sound_;
}

Awaitable<bool> LiveExchange::end_stream() {
  if (stream_sound_ && chunked_ && head_.method != "HEAD") {
    const asio::const_buffer end = asio::buffer(std::string_view("0\r\n\r\n"));
    stream_sound_ = co_await transport_.write({&end, 1});
  }
  co_return stream_sound_;
}

Awaitable<void> LiveExchange::run_blocking(std::function<void()> work) {
  co_await asio::co_spawn(
      core_.pool,
      [&work]() -> Awaitable<void> {
        work();
        co_return;
      },
      asio::use_awaitable);
}

}  // namespace safelight::http
