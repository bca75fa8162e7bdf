#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/server.h"
#include "http/target.h"

namespace safelight::http {

/// How an answer is framed and what of its request its head depends on.
struct AnswerFrame {
  std::optional<size_t> content_length;  ///< nothing: in chunks, or until the connection's end
  bool chunked = false;
  bool keep_alive = false;
  bool http_1_0 = false;
  std::string_view request_id, traceparent;
  std::string_view allowed_origin;  ///< of a page elsewhere that may read the answer
  bool varies_by_origin = false;
  const Pairs* more = nullptr;  ///< further headers
};

/// The head of an answer, up to its empty line: the reply's own headers, and for what it leaves
/// open Date, Server, Cache-Control (no-store) and those that guard browsers. Control characters in
/// values become spaces.
std::string answer_head(const Reply& reply, const AnswerFrame& frame);

/// Whether a page of `origin` may call (exact comparison).
bool is_allowed_origin(const ServerOptions& options, std::string_view origin);

/// The answer to a CORS preflight of an allowed origin.
Reply preflight_reply(std::string_view allow, std::string_view requested_headers);

/// Packs the body when that is worth it and the client takes it. Blocks for 10 ms a MiB.
bool is_worth_gzip(const Reply& reply, std::string_view accept_encoding, size_t compress_from);
void gzip_reply(Reply& reply);

/// The form of errors that clients of a path read when there is no route.
ErrorForm form_of_path(std::string_view path);

}  // namespace safelight::http
