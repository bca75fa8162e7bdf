#include "http/routes/pages.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/byte_range.h"
#include "http/web_files.h"

namespace safelight::http {
namespace {

/// Pages run their own scripts, load nothing from elsewhere and stand in no frame.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const WebFile* find_file(std::string_view name) {
  const auto files = web_files();
  const auto file = std::find_if(files.begin(), files.end(),
                                 [&](const WebFile& each) { return each.name == name; });
  return file == files.end() ? nullptr : &*file;
}

Awaitable<Reply> send_file(Exchange& exchange, const WebFile& file) {
  // The links of a page are relative to its place.
  const std::string path(exchange.path());
  if (path.size() > 1 && path.ends_with('/')) {
    const std::string place = path.substr(path.rfind('/', path.size() - 2) + 1);
    co_return Reply{.status = 308,
                    .headers = {{"Location", "../" + place.substr(0, place.size() - 1)}}};
  }
  Reply reply{.content_type = std::string(file.media_type)};
  reply.headers.emplace_back("ETag", file.etag);
  // Asked for again each time, and answered with 304 until the program is another.
  reply.headers.emplace_back("Cache-Control", "no-cache");
  reply.headers.emplace_back("Content-Security-Policy", kContentSecurityPolicy);
  reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
  reply.headers.emplace_back("Referrer-Policy", "same-origin");
  if (matches_etag(exchange.header("If-None-Match"), file.etag)) {
    constexpr int kNotModified = 304;
    reply.status = kNotModified;
  } else {
    reply.body = file.data;
  }
  co_return reply;
}

}  // namespace

void add_page_routes(Router& router) {
  const RouteOptions options{.access = Access::kViewer, .rate_cost = 0};
  const auto add = [&](std::string pattern, std::string_view name) {
    const WebFile* file = find_file(name);
    if (file == nullptr) return;
    router.get(std::move(pattern), options,
               [file](Exchange& exchange) { return send_file(exchange, *file); });
  };
  add("/", "index.html");
  add("/docs", "docs.html");
  for (const WebFile& file : web_files()) add(fmt::format("/assets/{}", file.name), file.name);
}

}  // namespace safelight::http
