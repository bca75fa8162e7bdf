#include "worker/worker.h"

#include <boost/json/array.hpp>
#include <condition_variable>
#include <deque>
#include <new>
#include <optional>
#include <thread>

#include "base/log.h"
#include "jobs/json_members.h"
#include "jobs/messages.h"
#include "worker/drawing.h"
#include "worker/job_control.h"

namespace safelight::worker {
namespace {

namespace json = boost::json;
using jobs::Message;
using jobs::State;

json::object to_json(const Error& error) {
  return {{"code", error_info(error.code).name}, {"message", error.message}};
}

State final_state(const Status& done) {
  if (done) return State::kSucceeded;
  if (done.error().code == ErrorCode::kCancelled) return State::kCancelled;
  return done.error().code == ErrorCode::kRefused ? State::kRefused : State::kFailed;
}

/// The two threads of a worker: one receives, and lets cancels act at once; the one that calls
/// run() draws, and alone touches the studio.
class Session {
 public:
  Session(int fd, studio::Studio& studio, std::string version)
      : channel_(fd), studio_(studio), version_(std::move(version)) {}

  void run() {
    const engine::DeviceInfo& device = studio_.engine().device();
    const Status greeted = channel_.send({{{"kind", "ready"},
                                           {"version", version_},
                                           {"device", device.name},
                                           {"policy", studio_.guard().policy()}},
                                          {}});
    if (!greeted) return;
    std::thread receiver([this] { receive(); });
    while (std::optional<Task> task = next()) perform(*task);
    channel_.shut_down();
    receiver.join();
  }

 private:
  struct Task {
    Message message;
    std::shared_ptr<JobControl> control;  ///< of "run"
  };

  /// The receiving thread.
  void receive() {
    for (;;) {
      Result<Message> message = channel_.receive();
      if (!message) {
        if (message.error().message != "closed")
          spdlog::error("worker: {}", message.error().message);
        break;
      }
      if (Status taken = take(std::move(*message)); !taken) {
        spdlog::error("worker: {}", taken.error().message);
        break;
      }
    }
    const std::lock_guard lock(mutex_);
    closed_ = true;
    controls_.stop_all();
    came_.notify_all();
  }

  Status take(Message message) {
    const std::string kind = message.kind();
    const json::value head = message.head;
    jobs::MemberReader reader(head, kind);
    std::string job, mode;
    int attempt = 0;
    bool wanted = false;
    reader.get("job", job).get("attempt", attempt).get("mode", mode).get("wanted", wanted);
    if (!reader.status()) return reader.status();
    if (kind == "cancel") {
      controls_.cancel(job, attempt, mode);
    } else if (kind == "previews") {
      controls_.set_previews(job, wanted);
    } else {
      Task task{std::move(message), kind == "run" ? controls_.add(job, attempt) : nullptr};
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      came_.notify_all();
    }
    return {};
  }

  /// Waits for the next task; nothing when the channel was closed.
  std::optional<Task> next() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
    if (closed_) return std::nullopt;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

  void perform(const Task& task) {
    const std::string kind = task.message.kind();
    if (kind == "run") {
      draw(task);
      send_models(json::object());
    } else if (kind == "load" || kind == "unload") {
      change_models(kind, task.message.head);
    } else if (kind == "settings") {
      if (Status set = change_settings(task.message.head); !set)
        spdlog::error("worker: {}", set.error().message);
      send_models(json::object());
    } else {
      spdlog::error("worker: a message '{}' is not known", kind);
    }
  }

  void draw(const Task& task) {
    Drawing drawing(studio_, channel_, *task.control, version_,
                    [this] { send_models(json::object()); });
    Status done;
    try {
      const Result<Order> order = read_order(task.message.head);
      done = order ? drawing.run(*order) : Status(order.error());
    } catch (const std::bad_alloc&) {
      done =
          Error{ErrorCode::kOutOfMemory, "not enough memory; a smaller size or batch needs less"};
    } catch (const std::exception& bug) {
      done = Error{ErrorCode::kInternal, bug.what()};
    }
    controls_.remove(task.control);
    json::object message{{"kind", "ended"},
                         {"job", task.control->job},
                         {"attempt", task.control->attempt},
                         {"state", jobs::state_name(final_state(done))},
                         {"seconds", drawing.seconds()}};
    if (!done) message["error"] = to_json(done.error());
    (void)channel_.send({std::move(message), {}});
  }

  void change_models(const std::string& kind, const json::object& head) {
    const json::value value = head;
    jobs::MemberReader reader(value, kind);
    std::string model;
    int64_t id = 0;
    reader.get("id", id).get("model", model);
    Status done = reader.status();
    try {
      if (done) done = kind == "load" ? studio_.load(model) : studio_.unload(model);
    } catch (const std::bad_alloc&) {
      done = Error{ErrorCode::kOutOfMemory, "not enough memory for the model"};
    }
    json::object answer{{"id", id}};
    if (!done) answer["error"] = to_json(done.error());
    send_models(std::move(answer));
  }

  Status change_settings(const json::object& head) {
    const json::value value = head;
    jobs::MemberReader reader(value, "settings");
    uint64_t budget = 0;
    reader.get("memory_budget", budget);
    if (!reader.status()) return reader.status();
    std::vector<std::string> pinned;
    if (const json::value* names = reader.find("pinned"); names && names->is_array()) {
      for (const json::value& name : names->get_array()) {
        if (name.is_string()) pinned.emplace_back(name.get_string());
      }
    }
    studio_.set_memory(budget, std::move(pinned));
    return {};
  }

  /// Tells which models are in memory, when that changed or something is answered.
  void send_models(json::object answer) {
    json::array models;
    std::string current;
    for (const studio::LoadedModel& model : studio_.models()) {
      if (current.empty()) current = model.name;
      models.push_back({{"name", model.name},
                        {"sha256", model.sha256},
                        {"bytes", model.bytes},
                        {"pinned", model.pinned}});
    }
    if (answer.empty() && models == told_models_) return;
    told_models_ = models;
    answer["kind"] = "loaded";
    answer["models"] = std::move(models);
    answer["current"] = current;
    (void)channel_.send({std::move(answer), {}});
  }

  jobs::MessageChannel channel_;
  studio::Studio& studio_;
  std::string version_;
  JobControls controls_;
  json::array told_models_;  ///< of the last "loaded"; the drawing thread's
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<Task> tasks_;
  bool closed_ = false;
};

}  // namespace

Status run_worker(int fd, studio::StudioOptions options) {
  std::string version = options.version;
  const auto studio = studio::Studio::make(std::move(options));
  if (!studio) return studio.error();
  Session(fd, **studio, std::move(version)).run();
  return {};
}

}  // namespace safelight::worker
