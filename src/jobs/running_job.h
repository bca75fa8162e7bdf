#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "jobs/messages.h"
#include "jobs/service.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// The run of a claimed job, as its worker tells of it: keeps the pictures, tells watchers. Any
/// thread.
class RunningJob {
 public:
  RunningJob(Claim claim, Service& service);

  const Job& job() const { return claim_.job; }
  const Lease& lease() const { return claim_.lease; }

  /// "started", "progress", "preview" or "picture" of this attempt; those of another one are
  /// ignored. Errors: kCorruptFile for what no worker may send.
  Status take(Message message);

  bool started() const;
  /// Without loading, 0 when the model was there.
  double load_seconds() const;
  /// The pictures that came, once.
  std::vector<FinishedPicture> take_pictures();

  void publish_state(State state, const std::string& detail);

 private:
  using Clock = std::chrono::steady_clock;

  Status take_progress(const boost::json::value& head);
  Status take_picture(const boost::json::value& head, std::string bytes);
  Event event(Event::Kind kind) const;
  double eta_seconds() const;

  const Claim claim_;
  Service& service_;
  mutable std::mutex mutex_;
  Clock::time_point started_at_;
  bool started_ = false;
  double load_seconds_ = 0;
  Progress progress_;
  std::vector<FinishedPicture> pictures_;
};

/// Whether the message speaks of this attempt.
bool speaks_of(const boost::json::object& head, const Lease& lease);

}  // namespace safelight::jobs
