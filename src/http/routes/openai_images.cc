#include "http/routes/openai_images.h"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <variant>

#include "api/openai/file_token.h"
#include "api/openai/images_body.h"
#include "base/base64.h"
#include "base/json.h"
#include "http/event_feed.h"

namespace safelight::http {
namespace {

namespace openai = api::openai;
using std::chrono::milliseconds;

constexpr milliseconds kHeartbeat{15'000};
constexpr size_t kMaxHeaderText = 255;

/// What was submitted, as the answer needs it.
struct Submitted {
  openai::ImagesBody body;
  std::string job;
};

/// Whether a job's previews are due: with two wanted, at a third and at two thirds.
class PartialImages {
 public:
  explicit PartialImages(int64_t wanted) : wanted_(wanted) {}

  /// The index of the one to send at this share of the job, if any.
  std::optional<int64_t> due(double fraction) {
    if (sent_ >= wanted_) return std::nullopt;
    const double share = static_cast<double>(sent_ + 1) / static_cast<double>(wanted_ + 1);
    if (fraction < share) return std::nullopt;
    return sent_++;
  }

 private:
  int64_t wanted_, sent_ = 0;
};

/// For the names of OpenAI's models: the model that is loaded, where it is not the default anyway.
std::string loaded_model(api::Backend& backend) {
  const auto fallback = backend.catalog.find("");
  for (const jobs::WorkerStatus& worker : backend.workers.status()) {
    if (worker.current_model.empty()) continue;
    if (fallback && fallback->name == worker.current_model) return {};
    if (backend.catalog.find(worker.current_model)) return worker.current_model;
  }
  return {};
}

std::variant<Submitted, openai::ApiError> submit(api::Backend& backend, const Exchange& exchange,
                                                 const std::string& idempotency_key,
                                                 const std::string& traceparent) {
  const auto parsed = parse_json(exchange.body());
  if (!parsed) return openai::api_error(parsed.error());
  Submitted submitted;
  if (const auto wrong = openai::read_images_body(*parsed, submitted.body)) {
    return openai::api_error(wrong->error, wrong->field);
  }
  api::Submission& submission = submitted.body.submission;
  if (idempotency_key.size() > kMaxHeaderText) {
    return openai::api_error({ErrorCode::kInvalidArgument,
                              fmt::format("the header Idempotency-Key has {} bytes; at most {} are "
                                          "possible",
                                          idempotency_key.size(), kMaxHeaderText)});
  }
  submission.idempotency_key = idempotency_key;
  submission.traceparent = traceparent;
  if (submission.request.model.empty()) submission.request.model = loaded_model(backend);
  if (const auto model = backend.catalog.find(submission.request.model); !model) {
    return no_such_model(model.error());
  }
  const auto accepted = api::submit(backend, exchange.principal(), {submission});
  if (!accepted) return openai::api_error(accepted.error());
  submitted.job = accepted->front().id;
  return submitted;
}

/// The pictures of a job that succeeded, as the client wants them. Blocks.
Result<std::vector<openai::PictureText>> read_pictures(api::Backend& backend,
                                                       const openai::ImagesBody& body,
                                                       const jobs::Job& job,
                                                       const std::string& base) {
  std::vector<openai::PictureText> pictures;
  for (const jobs::ResultFile& file : job.results) {
    if (body.urls) {
      const openai::FileLink link{
          .job = job.id, .index = file.index, .expires = jobs::now() + openai::kFileLifeMs};
      pictures.push_back({.url = fmt::format("{}/files/{}", base,
                                             openai::make_file_token(backend.signing_key, link))});
      continue;
    }
    const auto data = backend.jobs.store().read_result(job.id, file.index);
    if (!data) return data.error();
    pictures.push_back({.b64_json = base64_encode(*data)});
  }
  return pictures;
}

/// A job's end: the job with its pictures, or why there are none.
struct Ending {
  jobs::Job job;
  std::vector<openai::PictureText> pictures;
  std::optional<openai::ApiError> error;
};

Ending read_ending(api::Backend& backend, const Submitted& submitted, const std::string& base) {
  Ending ending;
  auto job = backend.jobs.store().find(submitted.job);
  if (!job) {
    ending.error = openai::api_error(job.error());
    return ending;
  }
  ending.job = std::move(*job);
  if (ending.job.state != jobs::State::kSucceeded) {
    ending.error = openai::api_error(ending.job);
    return ending;
  }
  auto pictures = read_pictures(backend, submitted.body, ending.job, base);
  if (pictures) {
    ending.pictures = std::move(*pictures);
  } else {
    ending.error = openai::api_error(pictures.error());
  }
  return ending;
}

Awaitable<Reply> wait_and_answer(Exchange& exchange, api::Backend& backend,
                                 const Submitted& submitted) {
  const jobs::State state =
      co_await wait_for_end(exchange, backend.jobs, submitted.job, milliseconds(0));
  // The client has gone; its pictures wait under the job's id.
  if (!jobs::is_final(state)) co_return Reply{};
  const auto work = [&]() -> Reply {
    const Ending ending = read_ending(backend, submitted, exchange.base_url());
    if (ending.error) return openai_error_reply(*ending.error);
    return json_reply(openai::images_json(submitted.body, ending.job, ending.pictures));
  };
  co_return co_await exchange.blocking(work);
}

Awaitable<jobs::State> stored_state(Exchange& exchange, api::Backend& backend, std::string id) {
  const auto find = [&] { return backend.jobs.store().find(id); };
  const auto job = co_await exchange.blocking(find);
  co_return job ? job->state : jobs::State::kFailed;
}

/// Sends what becomes of the job until it has ended; false when the client has gone.
Awaitable<bool> stream_partials(Exchange& exchange, api::Backend& backend, EventFeed& feed,
                                const Submitted& submitted, ReplyStream& out) {
  PartialImages partials(submitted.body.partial_images);
  double fraction = 0;
  const auto live = backend.jobs.hub().live(submitted.job);
  jobs::State state = live ? live->state : co_await stored_state(exchange, backend, submitted.job);
  while (!jobs::is_final(state)) {
    const jobs::EventPtr event = co_await feed.next(kHeartbeat);
    bool listens = true;
    if (event == nullptr) {
      state = co_await stored_state(exchange, backend, submitted.job);
      listens = co_await out.write(": still here\n\n");
    } else if (event->kind == jobs::Event::Kind::kState) {
      state = event->state;
    } else if (event->kind == jobs::Event::Kind::kProgress) {
      fraction = event->progress.fraction();
    } else if (event->kind == jobs::Event::Kind::kPreview) {
      if (const auto index = partials.due(fraction)) {
        const std::string text = openai::partial_image_event(submitted.body, *index, event->jpeg);
        listens = co_await out.write(text);
      }
    }
    if (!listens || feed.lost()) co_return false;
  }
  co_return true;
}

Awaitable<Reply> stream_answer(Exchange& exchange, api::Backend& backend,
                               const Submitted& submitted) {
  EventFeed feed(backend.jobs.hub(), submitted.job, co_await boost::asio::this_coro::executor);
  Reply head{.content_type = "text/event-stream"};
  head.headers.emplace_back("Cache-Control", "no-store");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  ReplyStream* out = co_await exchange.stream(std::move(head));
  const bool listens = co_await stream_partials(exchange, backend, feed, submitted, *out);
  if (!listens) co_return Reply{};
  const auto work = [&] { return read_ending(backend, submitted, exchange.base_url()); };
  const Ending ending = co_await exchange.blocking(work);
  if (ending.error) {
    const std::string text = openai::error_event(*ending.error);
    co_await out->write(text);
    co_return Reply{};
  }
  for (size_t i = 0; i < ending.pictures.size(); ++i) {
    const std::string text = openai::completed_event(submitted.body, ending.job,
                                                     ending.job.results[i], ending.pictures[i]);
    const bool reads = co_await out->write(text);
    if (!reads) break;
  }
  co_return Reply{};
}

}  // namespace

Awaitable<Reply> create_image(Exchange& exchange, api::Backend& backend) {
  const std::string key(exchange.header("Idempotency-Key"));
  const std::string traceparent(exchange.header("traceparent"));
  const auto work = [&] { return submit(backend, exchange, key, traceparent); };
  const auto submitted = co_await exchange.blocking(work);
  if (const auto* error = std::get_if<openai::ApiError>(&submitted)) {
    co_return openai_error_reply(*error);
  }
  const Submitted& good = std::get<Submitted>(submitted);
  if (good.body.stream) co_return co_await stream_answer(exchange, backend, good);
  co_return co_await wait_and_answer(exchange, backend, good);
}

}  // namespace safelight::http
