#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "http/byte_range.h"
#include "http/routes/native_parts.h"
#include "http/routes/result_reply.h"
#include "http/routes/visible_job.h"

namespace safelight::http {
namespace {

std::string_view extension(std::string_view media_type) {
  if (media_type == "image/jpeg") return ".jpg";
  if (media_type == "image/webp") return ".webp";
  return ".png";
}

/// A result never changes, so that a client may keep it.
std::vector<std::pair<std::string, std::string>> file_headers(const Exchange& exchange,
                                                              const jobs::Job& job,
                                                              const jobs::ResultFile& file) {
  const std::string name =
      fmt::format("safelight-{}-{}{}", job.id, file.index, extension(file.media_type));
  const char* how = flag_query(exchange, "download") ? "attachment" : "inline";
  return {{"ETag", fmt::format("\"{}\"", file.sha256)},
          {"Cache-Control", "private, max-age=31536000, immutable"},
          {"Accept-Ranges", "bytes"},
          {"X-Content-Type-Options", "nosniff"},
          {"Content-Disposition", fmt::format("{}; filename=\"{}\"", how, name)}};
}

Reply part_of(const std::string& data, Reply reply, const ByteRange& range) {
  constexpr int kPartial = 206;
  reply.status = kPartial;
  reply.headers.emplace_back("Content-Range",
                             fmt::format("bytes {}-{}/{}", range.first, range.last, data.size()));
  reply.body = data.substr(range.first, range.last - range.first + 1);
  return reply;
}

Reply no_such_range(size_t size, ErrorForm form) {
  constexpr int kUnsatisfiable = 416;
  Reply reply = error_reply({ErrorCode::kInvalidArgument,
                             fmt::format("the range is outside of the file's {} bytes", size)},
                            form, kUnsatisfiable);
  reply.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size));
  return reply;
}

Awaitable<Reply> get_result(Exchange& exchange, api::Backend& backend) {
  const std::string id(exchange.param("id"));
  const std::string_view text = exchange.param("index");
  int64_t index = -1;
  const auto [rest, bad] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (bad != std::errc() || rest != text.data() + text.size()) index = -1;
  const auto work = [&]() -> Reply {
    const auto job = find_visible(backend, exchange.principal(), id);
    if (!job) return error_reply(job.error(), ErrorForm::kNative);
    return result_reply(exchange, backend, *job, index, ErrorForm::kNative);
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<Reply> get_preview(Exchange& exchange, api::Backend& backend) {
  const std::string id(exchange.param("id"));
  const auto live = co_await find_live(exchange, backend, id);
  if (!live) co_return error_reply(live.error(), ErrorForm::kNative);
  if (live->preview != nullptr) {
    Reply reply{.content_type = "image/jpeg", .body = live->preview->jpeg};
    reply.headers.emplace_back("Cache-Control", "no-store");
    co_return reply;
  }
  if (!jobs::is_final(live->state)) {
    const auto work = [&] { backend.workers.watch_previews(id, true); };
    co_await exchange.run_blocking(work);
  }
  co_return error_reply({ErrorCode::kNotFound,
                         fmt::format("job {} has no preview now; there is one while it runs, some "
                                     "steps after it was first asked for",
                                     id)},
                        ErrorForm::kNative);
}

}  // namespace

Reply result_reply(const Exchange& exchange, api::Backend& backend, const jobs::Job& job,
                   int64_t index, ErrorForm form) {
  const auto file = std::find_if(job.results.begin(), job.results.end(),
                                 [&](const jobs::ResultFile& each) { return each.index == index; });
  if (file == job.results.end()) {
    return error_reply({ErrorCode::kNotFound,
                        fmt::format("job {} is {} and has {} results, counted from 0", job.id,
                                    jobs::state_name(job.state), job.results.size())},
                       form);
  }
  Reply reply{.content_type = file->media_type, .headers = file_headers(exchange, job, *file)};
  const std::string etag = fmt::format("\"{}\"", file->sha256);
  if (matches_etag(exchange.header("If-None-Match"), etag)) {
    constexpr int kNotModified = 304;
    reply.status = kNotModified;
    return reply;
  }
  auto data = backend.jobs.store().read_result(job.id, index);
  if (!data) return error_reply(data.error(), form);
  const std::string_view condition = exchange.header("If-Range");
  if (condition.empty() || condition == etag) {
    const ByteRange range = parse_byte_range(exchange.header("Range"), data->size());
    if (range.kind == ByteRange::Kind::kPart) return part_of(*data, std::move(reply), range);
    if (range.kind == ByteRange::Kind::kUnsatisfiable) return no_such_range(data->size(), form);
  }
  reply.body = std::move(*data);
  return reply;
}

void add_result_routes(Router& router, api::Backend& backend) {
  router.get("/api/v1/jobs/{id}/results/{index}",
             {.access = Access::kViewer, .operation = "getResult"},
             [&](Exchange& exchange) { return get_result(exchange, backend); });
  router.get("/api/v1/jobs/{id}/preview",
             {.access = Access::kViewer, .rate_cost = 0, .operation = "getPreview"},
             [&](Exchange& exchange) { return get_preview(exchange, backend); });
}

}  // namespace safelight::http
