#include "bench/sd/stopping.h"

#include <chrono>
#include <thread>

namespace safelight::bench {

Result<std::vector<double>> time_stops(
    const std::function<Status(const engine::StopFlag* stop)>& run, double usual, int count) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> waits;
  for (int i = 0; i < count; ++i) {
    engine::StopFlag stop = false;
    Clock::time_point told;
    const std::chrono::duration<double> delay((i + 0.5) / count * usual);
    std::thread teller([&] {
      std::this_thread::sleep_for(delay);
      told = Clock::now();
      stop.store(true);
    });
    const Status done = run(&stop);
    const Clock::time_point ended = Clock::now();
    teller.join();
    if (!done && done.error().code != ErrorCode::kCancelled) return done.error();
    if (done) continue;  // it was faster than usual
    waits.push_back(std::chrono::duration<double>(ended - told).count());
  }
  return waits;
}

}  // namespace safelight::bench
