#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/job.h"

namespace safelight::jobs {

/// How far a running job is.
struct Progress {
  int64_t batch = 0, batches = 1;  ///< the batch being drawn, from 0
  int64_t step = 0, steps = 0;     ///< within the batch
  /// Of the whole job, [0, 1].
  double fraction() const;
};

/// Something that happened to a job, as watchers see it. Shared by all of them, never changed.
struct Event {
  enum class Kind { kState, kProgress, kPreview, kPicture };
  uint64_t sequence = 0;  ///< of this process, growing: gaps show what was left out
  Kind kind = Kind::kState;
  std::string job, owner;
  Time time = 0;
  State state = State::kQueued;  ///< after the event
  Progress progress;
  double eta_seconds = -1;  ///< until the job ends; negative when not known
  std::string jpeg;         ///< kPreview: a picture file, already released by the guard
  std::string detail;       ///< kState: for people; kPicture: its index
};
using EventPtr = std::shared_ptr<const Event>;

/// What is known of a job without asking the store; for the many who ask how far it is.
struct LiveJob {
  std::string owner;
  State state = State::kQueued;
  Progress progress;
  double eta_seconds = -1;
  Time created = 0, started = 0;
  int64_t position = -1;  ///< jobs before it; -1 when not known
  EventPtr preview;       ///< the latest, or null
};

/// Brings events to watchers and remembers how far each unfinished job is. Any thread may call
/// anything; listeners are called on the publishing thread, in the order of the sequence numbers;
/// they must be quick, never block and not call the hub.
class EventHub {
 public:
  using Listener = std::function<void(const EventPtr&)>;

  /// While it lives the listener is called. Once reset() has returned it is called no more; hold no
  /// lock then that the listener takes.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept = default;
    Subscription& operator=(Subscription&& other) noexcept;
    ~Subscription() { reset(); }
    void reset();

   private:
    friend class EventHub;
    std::weak_ptr<struct Listeners> listeners_;
    uint64_t id_ = 0;
  };

  EventHub();

  /// `job` empty: events of all jobs.
  Subscription subscribe(const std::string& job, Listener listener);

  /// Numbers the event, updates the live state of its job, tells the listeners.
  void publish(Event event);

  /// The live state of an unfinished job, or of one that ended in the last minute.
  std::optional<LiveJob> live(const std::string& job) const;
  struct Activity {
    using Entry = std::pair<std::string, LiveJob>;  ///< id, state
    std::vector<Entry> running;                     ///< of all owners, by age
    std::optional<Entry> next;                      ///< the oldest queued job of the owner
    size_t queued = 0;                              ///< of all owners
  };
  /// What is going on, for those who ask often: its cost does not grow with the queue.
  Activity activity(const std::string& owner) const;
  /// All unfinished jobs that this process knows, running ones first.
  std::vector<std::pair<std::string, LiveJob>> unfinished() const;
  void set_position(const std::string& job, int64_t position, double eta_seconds);

 private:
  void update(const EventPtr& event);
  void index(const std::string& id, const LiveJob& job, bool add);

  std::shared_ptr<struct Listeners> listeners_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, LiveJob> live_;
  std::set<std::string> running_;                                     // ids
  std::unordered_map<std::string, std::set<std::string>> queued_of_;  // by owner
  size_t queued_ = 0;
  std::deque<std::pair<Time, std::string>> ended_;  ///< to be forgotten
  uint64_t sequence_ = 0;
};

}  // namespace safelight::jobs
