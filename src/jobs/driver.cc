#include "jobs/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "jobs/json_members.h"

namespace safelight::jobs {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLookEvery{1};  // for work of other servers
constexpr seconds kReadyWithin{30};
constexpr milliseconds kFirstBackoff{100};
constexpr int kMostDoublings = 7;  // 12.8 s between starts of a worker that keeps dying

LoadedModel model_from_json(const json::value& value) {
  LoadedModel model;
  MemberReader(value, "model")
      .get("name", model.name)
      .get("sha256", model.sha256)
      .get("bytes", model.bytes)
      .get("pinned", model.pinned);
  return model;
}

}  // namespace

Driver::Driver(Service& service, DispatcherOptions options)
    : service_(service),
      options_(std::move(options)),
      inbox_(std::make_shared<DriverInbox>()),
      start_at_(Clock::now()),
      look_at_(Clock::now()),
      idle_since_(Clock::now()) {
  status_.name = options_.name;
}

WorkerStatus Driver::status() const {
  WorkerStatus status;
  {
    const std::lock_guard lock(mutex_);
    status = status_;
  }
  if (status.process != 0) status.resident_bytes = resident_bytes(status.process);
  return status;
}

std::string Driver::running() const {
  const std::lock_guard lock(mutex_);
  return status_.job;
}

void Driver::run() {
  do {
    react(inbox_->take(next_due(Clock::now())));
    tend(Clock::now());
  } while (!drain_until_ || (run_ && Clock::now() < *drain_until_));
  stop_run();
  if (process_) end_process();
  const Error ended{ErrorCode::kUnavailable, "the server stops"};
  answer_all(ended);
  for (const Command& command : inbox_->close()) {
    if (command.done) command.done->set_value(ended);
  }
}

void Driver::react(DriverInbox::Content content) {
  if (content.drain_until) drain_until_ = content.drain_until;
  work_came_ = work_came_ || content.work;
  for (const Message& message : content.messages) {
    if (process_) hear(message);
  }
  for (Command& command : content.commands) obey(std::move(command));
  if (content.gone && process_) bury(*content.gone);
}

void Driver::obey(Command command) {
  const bool runs = run_ && run_->job->job().id == command.text;
  switch (command.kind) {
    case Command::Kind::kCancel:
      if (runs) cancel_run(command.mode, StopReason::kAsked);
      break;
    case Command::Kind::kSkip:
      if (runs && process_) {
        (void)process_->send({{{"kind", "cancel"},
                               {"job", command.text},
                               {"attempt", run_->job->lease().attempt},
                               {"mode", "skip"}},
                              {}});
      }
      break;
    case Command::Kind::kPreviews:
      if (command.wanted) {
        watched_.insert(command.text);
      } else {
        watched_.erase(command.text);
      }
      if (runs && process_) {
        // A job that asked for them has them, watched or not.
        const bool wanted = command.wanted || run_->job->job().asked.delivery.previews;
        (void)process_->send(
            {{{"kind", "previews"}, {"job", command.text}, {"wanted", wanted}}, {}});
      }
      break;
    case Command::Kind::kLoad:
    case Command::Kind::kUnload:
      ask_models(std::move(command));
      break;
  }
}

void Driver::ask_models(Command command) {
  const bool unload = command.kind == Command::Kind::kUnload;
  if (unload && !process_) {
    command.done->set_value({});  // nothing is loaded
    return;
  }
  if (unload && command.text.empty()) {
    end_process_wanted_ = true;
    waiting_.push_back(std::move(command));
    return;
  }
  if (!ready_ || end_process_wanted_) {
    waiting_.push_back(std::move(command));
    return;
  }
  const int64_t id = ++last_id_;
  asked_[id] = command.done;
  (void)process_->send(
      {{{"kind", unload ? "unload" : "load"}, {"id", id}, {"model", command.text}}, {}});
}

void Driver::answer(int64_t id, const Status& status) {
  const auto found = asked_.find(id);
  if (found == asked_.end()) return;
  found->second->set_value(status);
  asked_.erase(found);
}

void Driver::answer_all(const Error& error) {
  answer_unloads();
  for (const auto& [id, done] : asked_) done->set_value(error);
  asked_.clear();
  for (const Command& command : waiting_) command.done->set_value(error);
  waiting_.clear();
}

/// The process is gone, and all models with it.
void Driver::answer_unloads() {
  std::erase_if(waiting_, [](const Command& command) {
    if (command.kind != Command::Kind::kUnload) return false;
    command.done->set_value({});
    return true;
  });
}

void Driver::hear(const Message& message) {
  const std::string kind = message.kind();
  if (kind == "ready") greet(message);
  if (kind == "loaded") note_models(message);
  if (kind == "ended") note_end(message);
}

void Driver::greet(const Message& ready) {
  const json::value head = ready.head;
  {
    const std::lock_guard lock(mutex_);
    MemberReader(head, "ready").get("device", status_.device).get("policy", status_.policy);
    status_.ready = true;
  }
  ready_ = work_came_ = true;
  idle_since_ = Clock::now();
  json::array pinned;
  for (const std::string& model : options_.pinned) pinned.emplace_back(model);
  (void)process_->send(
      {{{"kind", "settings"}, {"memory_budget", options_.memory_budget}, {"pinned", pinned}}, {}});
  std::vector<Command> waiting = std::move(waiting_);
  waiting_.clear();
  for (Command& command : waiting) ask_models(std::move(command));
}

void Driver::note_models(const Message& loaded) {
  const json::value head = loaded.head;
  MemberReader reader(head, "loaded");
  int64_t id = 0;
  reader.get("id", id);
  {
    const std::lock_guard lock(mutex_);
    reader.get("current", status_.current_model);
    status_.models.clear();
    const json::value* models = reader.find("models");
    if (models && models->is_array()) {
      for (const json::value& model : models->get_array())
        status_.models.push_back(model_from_json(model));
    }
  }
  idle_since_ = Clock::now();
  const json::value* error = reader.find("error");
  if (error == nullptr) {
    answer(id, {});
    return;
  }
  std::string code, text;
  MemberReader(*error, "error").get("code", code).get("message", text);
  answer(id, Error{find_error_code(code), text});
}

void Driver::start_process(Clock::time_point now) {
  auto started = WorkerProcess::start(
      options_.command, options_.niceness,
      {.on_message = [this](Message message) -> Status {
         const std::string kind = message.kind();
         if (kind == "ready" || kind == "loaded" || kind == "ended") {
           inbox_->put(std::move(message));
           return {};
         }
         std::shared_ptr<RunningJob> job;
         {
           const std::lock_guard lock(mutex_);
           job = running_;
         }
         return job ? job->take(std::move(message)) : Status();
       },
       .on_gone = [this](std::string fault) { inbox_->put_gone(std::move(fault)); }});
  starting_.report(started ? Status() : started.error());
  if (!started) {
    start_at_ = now + kFirstBackoff * (1 << std::min(failures_++, kMostDoublings));
    return;
  }
  process_ = std::move(*started);
  ready_by_ = now + kReadyWithin;
  const std::lock_guard lock(mutex_);
  status_.process = process_->pid();
}

/// The process is gone without having been asked to go.
void Driver::bury(const std::string& fault) {
  if (!fault.empty()) process_->kill();
  const std::string how = process_->end();
  const std::string reason =
      fault.empty() ? "the worker " + how
                    : fmt::format("the worker sent what it may not ({}) and was ended", fault);
  spdlog::error("{}: {}", options_.name, reason);
  forget_process();
  start_at_ = Clock::now() + kFirstBackoff * (1 << std::min(failures_++, kMostDoublings));
  {
    const std::lock_guard lock(mutex_);
    ++status_.restarts;
  }
  work_came_ = true;
  answer_all({ErrorCode::kUnavailable, reason});
  if (!run_ || run_->ending) return;
  if (run_->why == StopReason::kLeaseLost) {
    forget_run();
  } else if (run_->why != StopReason::kNone) {
    end_with(stopped(run_->why));
  } else {
    end_with(RunEnding{.counted = run_->sent, .reason = reason});
  }
}

void Driver::end_process() {
  process_->end();
  forget_process();
}

void Driver::forget_process() {
  process_.reset();
  inbox_->forget_worker();
  ready_ = end_process_wanted_ = false;
  const std::lock_guard lock(mutex_);
  status_.process = 0;
  status_.ready = false;
  status_.models.clear();
  status_.current_model.clear();
}

void Driver::tend(Clock::time_point now) {
  if (run_) watch_run(now);
  if (run_ && run_->ending && now >= run_->commit_at) commit(now);
  tend_process(now);
  if (!run_) look_for_work(now);
}

void Driver::tend_process(Clock::time_point now) {
  if (process_ && !ready_ && now >= ready_by_) process_->kill();
  if (!process_ && !waiting_.empty() && now >= start_at_) start_process(now);
  if (!process_ || run_) return;
  if (end_process_wanted_ && asked_.empty()) {
    end_process();
    answer_unloads();
  } else if (options_.idle_seconds > 0 && ready_ && asked_.empty() &&
             now >= idle_since_ + seconds(options_.idle_seconds)) {
    idle_since_ = now;
    drop_idle_models();
  }
}

/// By ending the process, which really gives the memory back, unless pinned models are in it.
void Driver::drop_idle_models() {
  std::vector<LoadedModel> models;
  {
    const std::lock_guard lock(mutex_);
    models = status_.models;
  }
  const auto pinned = [](const LoadedModel& model) { return model.pinned; };
  if (std::none_of(models.begin(), models.end(), pinned)) {
    end_process();
    return;
  }
  for (const LoadedModel& model : models) {
    if (!model.pinned)
      (void)process_->send({{{"kind", "unload"}, {"id", 0}, {"model", model.name}}, {}});
  }
}

void Driver::look_for_work(Clock::time_point now) {
  if (drain_until_ || end_process_wanted_ || (process_ && !ready_)) return;
  if (!process_ && now < start_at_) return;
  if (!work_came_ && now < look_at_) return;
  work_came_ = false;
  look_at_ = now + kLookEvery;
  if (ready_) {
    claim();
    return;
  }
  // A worker that cannot start must not hold a job meanwhile.
  const auto counts = service_.store().counts();
  claiming_.report(counts ? Status() : counts.error());
  if (!counts) return;
  const auto queued = counts->jobs.find(State::kQueued);
  if (queued != counts->jobs.end() && queued->second > 0) start_process(now);
}

DriverInbox::Clock::time_point Driver::next_due(Clock::time_point now) const {
  Clock::time_point due = now + kLookEvery;
  const auto at = [&](Clock::time_point time) { due = std::min(due, time); };
  if (drain_until_) at(*drain_until_);
  if (!process_ && start_at_ > now) at(start_at_);
  if (work_came_ && !run_ && ready_) at(now);
  if (!run_) return due;
  at(run_->renew_at);
  if (run_->kill_at) at(*run_->kill_at);
  if (run_->ending) at(run_->commit_at);
  const NewJob& asked = run_->job->job().asked;
  if (asked.timeout_ms > 0 && run_->why == StopReason::kNone)
    at(run_->begun + milliseconds(asked.timeout_ms));
  if (asked.deadline > 0 && run_->why == StopReason::kNone)
    at(now + milliseconds(std::max<Time>(0, asked.deadline - jobs::now())));
  return due;
}

}  // namespace safelight::jobs
