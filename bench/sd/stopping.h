#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace safelight::bench {

/// Stops `count` runs, each at another moment of the `usual` seconds that one takes, and gives the
/// seconds from then to the end of each. Errors: those of `run` but kCancelled.
Result<std::vector<double>> time_stops(
    const std::function<Status(const engine::StopFlag* stop)>& run, double usual, int count);

}  // namespace safelight::bench
