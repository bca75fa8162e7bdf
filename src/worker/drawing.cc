#include "worker/drawing.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "jobs/json_members.h"
#include "request/infotext.h"

namespace safelight::worker {
namespace {

namespace json = boost::json;

constexpr int kPreviewQuality = 80;
constexpr std::chrono::milliseconds kBetweenPreviews{500};
/// At least as long as the part of a generation text that is not known before the work.
constexpr size_t kTextReserve = 100;

std::string media_type(image::Format format) {
  return fmt::format("image/{}", image::format_name(format));
}

}  // namespace

Result<Order> read_order(const json::object& head) {
  Order order;
  const json::value value = head;
  jobs::MemberReader reader(value, "run");
  reader.get("job", order.job)
      .get("attempt", order.attempt)
      .get("model_sha256", order.model_sha256);
  if (!reader.status()) return reader.status().error();
  const json::value* request = reader.find("request");
  const json::value* delivery = reader.find("delivery");
  if (request == nullptr || delivery == nullptr)
    return Error{ErrorCode::kInvalidArgument, "run needs a request and a delivery"};
  auto read = request::from_json(*request);
  if (!read) return read.error().in("request");
  order.request = std::move(*read);
  auto delivered = jobs::delivery_from_json(*delivery);
  if (!delivered) return delivered.error();
  order.delivery = std::move(*delivered);
  return order;
}

json::object Drawing::head(const char* kind) const {
  return {{"kind", kind}, {"job", control_.job}, {"attempt", control_.attempt}};
}

double Drawing::seconds() const {
  return started_ ? std::chrono::duration<double>(Clock::now() - *started_).count() : 0;
}

/// What of the delivery could fail after the work.
Status Drawing::check(const Order& order) const {
  const auto format = image::find_format(order.delivery.format);
  if (!format) return format.error();
  constexpr int kMaxQuality = 100;
  if (order.delivery.quality < 1 || order.delivery.quality > kMaxQuality) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("quality is {}; 1 to {} is possible",
                                                          order.delivery.quality, kMaxQuality)};
  }
  if (!order.delivery.metadata) return {};
  const std::string text = request::to_infotext(order.request, "", version_);
  return image::check_parameters(*format, text + std::string(kTextReserve, ' '));
}

Status Drawing::run(const Order& order) {
  if (control_.stop) return Error{ErrorCode::kCancelled, "cancelled before it began"};
  if (Status good = check(order); !good) return good;
  if (order.delivery.previews) control_.previews = true;
  return studio_.run(
      order.request,
      {.started =
           [&](double load_seconds) {
             started_ = Clock::now();
             on_loaded_();
             json::object message = head("started");
             message["load_seconds"] = load_seconds;
             // A closed channel is noticed where something is delivered, and stops the job.
             (void)channel_.send({std::move(message), {}});
           },
       .progress = [&](const studio::Progress& progress) { send_progress(progress); },
       .deliver =
           [&](const studio::Picture& picture) { return send_picture(picture, order.delivery); },
       .preview_due = [&] { return preview_due(); },
       .preview = [&](const image::ReleasedImage& image) { send_preview(image); },
       .stop = &control_.stop,
       .early_end = &control_.early_end,
       .model_sha256 = order.model_sha256,
       .recommends = false});
}

void Drawing::send_progress(const studio::Progress& progress) {
  json::object message = head("progress");
  message["batch"] = progress.batch;
  message["batches"] = progress.batches;
  message["step"] = progress.step;
  message["steps"] = progress.steps;
  (void)channel_.send({std::move(message), {}});
}

Status Drawing::send_picture(const studio::Picture& picture, const jobs::Delivery& delivery) {
  const image::Image& pixels = picture.image.pixels();
  const auto format = image::find_format(delivery.format);
  if (!format) return format.error();
  auto encoded = image::encode(pixels, {.format = *format,
                                        .quality = delivery.quality,
                                        .parameters = delivery.metadata ? picture.infotext : ""});
  if (!encoded) return encoded.error();
  const jobs::ResultFile file{.index = pictures_++,
                              .sha256 = sha256(std::as_bytes(std::span(*encoded))),
                              .media_type = media_type(*format),
                              .bytes = encoded->size(),
                              .width = pixels.width,
                              .height = pixels.height,
                              .seed = picture.request.seed,
                              .subseed = picture.request.subseed,
                              .infotext = picture.infotext};
  json::object message = head("picture");
  message["file"] = jobs::to_json(file);
  return channel_.send({std::move(message), std::move(*encoded)});
}

bool Drawing::preview_due() {
  if (!control_.previews) return false;
  return !previewed_ || Clock::now() - *previewed_ >= kBetweenPreviews;
}

void Drawing::send_preview(const image::ReleasedImage& image) {
  previewed_ = Clock::now();
  auto jpeg =
      image::encode(image.pixels(), {.format = image::Format::kJpeg, .quality = kPreviewQuality});
  if (jpeg) (void)channel_.send({head("preview"), std::move(*jpeg)});
}

}  // namespace safelight::worker
