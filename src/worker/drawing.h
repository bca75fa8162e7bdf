#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "image/codec.h"
#include "jobs/messages.h"
#include "worker/job_control.h"

namespace safelight::worker {

/// A job as the message "run" carries it.
struct Order {
  std::string job;
  int attempt = 0;
  request::Request request;
  jobs::Delivery delivery;
  std::string model_sha256;
};

/// Errors: kInvalidArgument for a message that is none.
Result<Order> read_order(const boost::json::object& head);

/// Draws one job and sends what comes of it: started, progress, preview, picture.
class Drawing {
 public:
  /// All are borrowed. `on_loaded` is called when the model is there.
  Drawing(studio::Studio& studio, jobs::MessageChannel& channel, JobControl& control,
          const std::string& version, std::function<void()> on_loaded)
      : studio_(studio),
        channel_(channel),
        control_(control),
        version_(version),
        on_loaded_(std::move(on_loaded)) {}

  /// Errors: those of Studio::run and of encoding; kIo when the channel is closed.
  Status run(const Order& order);

  /// Seconds since the first step began; 0 before.
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  boost::json::object head(const char* kind) const;
  Status check(const Order& order) const;
  void send_progress(const studio::Progress& progress);
  Status send_picture(const studio::Picture& picture, const jobs::Delivery& delivery);
  bool preview_due();
  void send_preview(const image::ReleasedImage& image);

  studio::Studio& studio_;
  jobs::MessageChannel& channel_;
  JobControl& control_;
  const std::string& version_;
  std::function<void()> on_loaded_;
  std::optional<Clock::time_point> started_, previewed_;
  int64_t pictures_ = 0;
};

}  // namespace safelight::worker
