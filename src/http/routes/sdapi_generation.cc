#include <fmt/format.h>

#include <array>
#include <boost/json/object.hpp>

#include "api/sdapi/png_info.h"
#include "api/sdapi/results.h"
#include "api/sdapi/txt2img.h"
#include "http/event_feed.h"
#include "http/routes/sdapi_parts.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace sdapi = api::sdapi;

constexpr size_t kMaxRequest = size_t{8} << 20;
constexpr size_t kMaxPicture = size_t{64} << 20;

/// An accepted request and what its answer needs.
struct Accepted {
  std::string job;
  json::object body;
  bool send_images = true;
};

Status keep_settings(api::Backend& backend, const Exchange& exchange,
                     const json::object& settings) {
  if (settings.empty()) return {};
  if (!exchange.principal().is_admin()) {
    return Error{ErrorCode::kForbidden,
                 "override_settings_restore_afterwards is false: only an admin may change settings "
                 "for good"};
  }
  const auto updated = backend.options.set(settings);
  return updated ? Status() : Status(updated.error());
}

Result<Accepted> accept(api::Backend& backend, const Exchange& exchange) {
  Result<json::object> body = sdapi_body(exchange);
  if (!body) return body.error();
  auto txt2img = sdapi::read_txt2img(*body, backend.options, backend.catalog);
  if (!txt2img) return txt2img.error();
  if (Status kept = keep_settings(backend, exchange, txt2img->lasting); !kept) return kept.error();
  txt2img->submission.idempotency_key = std::string(exchange.header("Idempotency-Key"));
  txt2img->submission.traceparent = std::string(exchange.header("traceparent"));
  const auto accepted = api::submit(backend, exchange.principal(), {txt2img->submission});
  if (!accepted) return accepted.error();
  return Accepted{
      .job = accepted->front().id, .body = std::move(*body), .send_images = txt2img->send_images};
}

/// The answer to a request whose job has ended.
Result<json::value> collect(api::Backend& backend, const Accepted& accepted) {
  jobs::Store& store = backend.jobs.store();
  const Result<jobs::Job> job = store.find(accepted.job);
  if (!job) return job.error();
  if (Status outcome = sdapi::outcome_of(*job); !outcome) return outcome.error();
  std::vector<std::string> pictures;
  for (const jobs::ResultFile& file : job->results) {
    if (!accepted.send_images) break;
    Result<std::string> picture = store.read_result(job->id, file.index);
    if (!picture) return picture.error();
    pictures.push_back(std::move(*picture));
  }
  return json::value(sdapi::txt2img_answer(*job, pictures, accepted.body, backend.facts.version));
}

/// Waits for the job. A client that goes away in between loses nothing: the job goes on, and its
/// result waits under its id.
Awaitable<Reply> txt2img(api::Backend& backend, Exchange& exchange) {
  const Result<Accepted> accepted =
      co_await exchange.blocking([&] { return accept(backend, exchange); });
  if (!accepted) co_return sdapi_failure(accepted.error());
  co_await wait_for_end(exchange, backend.jobs, accepted->job, std::chrono::milliseconds(0));
  const Result<json::value> answer =
      co_await exchange.blocking([&] { return collect(backend, *accepted); });
  Reply reply = answer ? json_reply(*answer) : sdapi_failure(answer.error());
  reply.headers.emplace_back("X-Job-Id", accepted->job);
  co_return reply;
}

Result<json::value> png_info(Exchange& exchange) {
  const Result<json::object> body = sdapi_body(exchange);
  if (!body) return body.error();
  const json::value* image = body->if_contains("image");
  if (image == nullptr || !image->is_string()) {
    return Error{ErrorCode::kInvalidArgument, "image must be a picture file in base64"};
  }
  Result<json::object> info = sdapi::png_info(image->get_string());
  if (!info) return info.error();
  return json::value(std::move(*info));
}

/// What SD WebUI and SD.Next have and this server does not: told in words, so that nobody looks
/// for a mistake in the address.
constexpr std::array kAbsentRoutes = {
    "/sdapi/v1/img2img",
    "/sdapi/v1/control",
    "/sdapi/v1/extra-single-image",
    "/sdapi/v1/extra-batch-images",
    "/sdapi/v1/process",
    "/sdapi/v1/process-batch",
    "/sdapi/v1/preprocess",
    "/sdapi/v1/mask",
    "/sdapi/v1/detect",
    "/sdapi/v1/detail",
    "/sdapi/v1/interrogate",
    "/sdapi/v1/openclip",
    "/sdapi/v1/caption",
    "/sdapi/v1/vqa",
    "/sdapi/v1/tagger",
    "/sdapi/v1/rembg",
    "/sdapi/v1/prompt-enhance",
    "/sdapi/v1/framepack",
    "/sdapi/v1/create/embedding",
    "/sdapi/v1/create/hypernetwork",
    "/sdapi/v1/train/embedding",
    "/sdapi/v1/train/hypernetwork",
    "/controlnet/txt2img",
    "/controlnet/img2img",
    "/controlnet/detect",
};

}  // namespace

void add_sdapi_generation(Router& router, api::Backend& backend) {
  RouteOptions generate = sdapi_options(Access::kUser, "sdapi_txt2img");
  generate.max_body = kMaxRequest;
  router.post("/sdapi/v1/txt2img", generate,
              [&backend](Exchange& exchange) { return txt2img(backend, exchange); });

  RouteOptions info = sdapi_options(Access::kUser, "sdapi_png_info");
  info.max_body = kMaxPicture;
  router.post("/sdapi/v1/png-info", info, sdapi_blocking(png_info));
  router.get("/sdapi/v1/png-info", info, sdapi_at_once([](Exchange&) -> Result<json::value> {
               return Error{ErrorCode::kForbidden,
                            "this server reads no file that a client names; POST the picture as "
                            "\"image\" in base64"};
             }));

  RouteOptions absent = sdapi_options(Access::kUser, "sdapi_absent");
  absent.max_body = kMaxPicture;
  for (const char* const path : kAbsentRoutes) {
    router.post(path, absent, sdapi_at_once([path](Exchange&) -> Result<json::value> {
                  return Error{ErrorCode::kNotFound,
                               fmt::format("this server draws from text alone and has no {}; "
                                           "/sdapi/v1/txt2img is what it has",
                                           path)};
                }));
  }
}

}  // namespace safelight::http
