#include "jobs/housekeeper.h"

#include <chrono>

#include "jobs/trouble.h"

namespace safelight::jobs {
namespace {

using Clock = std::chrono::steady_clock;

/// Positions are renewed at most so often.
constexpr std::chrono::milliseconds kPositionsEvery{500};
constexpr std::chrono::seconds kSweepEvery{2};

}  // namespace

Housekeeper::Housekeeper(Service& service) : service_(service) {
  subscription_ = service_.hub().subscribe("", [this](const EventPtr& event) {
    if (event->kind != Event::Kind::kState) return;
    const std::lock_guard lock(mutex_);
    queue_changed_ = true;
    woken_.notify_one();
  });
  thread_ = std::thread([this] { run(); });
}

Housekeeper::~Housekeeper() {
  subscription_.reset();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    woken_.notify_one();
  }
  thread_.join();
}

void Housekeeper::run() {
  Trouble sweeping("tidying the store of jobs"), ordering("reading the queue");
  Clock::time_point next_sweep = Clock::now();
  while (true) {
    bool renew = false;
    {
      std::unique_lock lock(mutex_);
      woken_.wait_until(lock, next_sweep, [this] { return ending_ || queue_changed_; });
      if (ending_) return;
      renew = std::exchange(queue_changed_, false);
    }
    if (Clock::now() >= next_sweep) {
      const auto changes = service_.sweep();
      sweeping.report(changes ? Status() : changes.error());
      next_sweep = Clock::now() + kSweepEvery;
    }
    if (!renew) continue;
    ordering.report(service_.refresh_positions());
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, kPositionsEvery, [this] { return ending_; });
  }
}

}  // namespace safelight::jobs
