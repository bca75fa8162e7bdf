#include "jobs/dispatcher.h"

#include <system_error>
#include <thread>

#include "jobs/driver.h"

namespace safelight::jobs {

/// The driver and its thread.
class Dispatcher::Worker {
 public:
  Worker(Service& service, DispatcherOptions options)
      : driver(service, std::move(options)), inbox(driver.shared_inbox()) {
    // The service keeps these for ever; the inbox may be gone then.
    const std::weak_ptr<DriverInbox> weak = inbox;
    service.on_work([weak] {
      if (const auto there = weak.lock()) there->work_came();
    });
    service.on_cancel([weak](const std::string& job, CancelMode mode) {
      const auto there = weak.lock();
      if (there) there->put({.kind = Command::Kind::kCancel, .text = job, .mode = mode});
    });
  }

  Status ask(Command command) {
    command.done = std::make_shared<std::promise<Status>>();
    std::future<Status> answer = command.done->get_future();
    if (!inbox->put(std::move(command))) return Error{ErrorCode::kUnavailable, "the server stops"};
    return answer.get();
  }

  Driver driver;
  std::shared_ptr<DriverInbox> inbox;
  std::thread thread;
};

Dispatcher::Dispatcher(Service& service, DispatcherOptions options)
    : worker_(std::make_unique<Worker>(service, std::move(options))) {}

Dispatcher::~Dispatcher() { drain(0); }

Status Dispatcher::start() {
  try {
    worker_->thread = std::thread([this] { worker_->driver.run(); });
  } catch (const std::system_error& error) {
    return Error{ErrorCode::kIo, std::string("cannot start a thread: ") + error.what()};
  }
  return {};
}

void Dispatcher::drain(int64_t grace_ms) {
  if (!worker_->thread.joinable()) return;
  worker_->inbox->drain(DriverInbox::Clock::now() + std::chrono::milliseconds(grace_ms));
  worker_->thread.join();
}

WorkerStatus Dispatcher::status() const { return worker_->driver.status(); }

bool Dispatcher::skip(const std::string& job) {
  if (job.empty() || worker_->driver.running() != job) return false;
  return worker_->inbox->put({.kind = Command::Kind::kSkip, .text = job});
}

Status Dispatcher::load(const std::string& model) {
  return worker_->ask({.kind = Command::Kind::kLoad, .text = model});
}

Status Dispatcher::unload(const std::string& model) {
  return worker_->ask({.kind = Command::Kind::kUnload, .text = model});
}

void Dispatcher::watch_previews(const std::string& job, bool wanted) {
  worker_->inbox->put({.kind = Command::Kind::kPreviews, .text = job, .wanted = wanted});
}

}  // namespace safelight::jobs
