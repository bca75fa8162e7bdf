#include "jobs/job.h"

#include <array>
#include <chrono>

namespace safelight::jobs {
namespace {

constexpr std::array<std::string_view, 7> kStateNames = {
    "queued", "running", "succeeded", "failed", "cancelled", "refused", "expired"};

}  // namespace

Time now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string_view state_name(State state) { return kStateNames.at(static_cast<size_t>(state)); }

std::optional<State> find_state(std::string_view name) {
  for (size_t i = 0; i < kStateNames.size(); ++i) {
    if (kStateNames[i] == name) return static_cast<State>(i);
  }
  return std::nullopt;
}

double cost_of(const request::Request& request) {
  constexpr double kMegapixel = 1e6;
  return static_cast<double>(request.width * request.height) / kMegapixel *
         static_cast<double>(request.steps * request.batch_size * request.batch_count);
}

}  // namespace safelight::jobs
