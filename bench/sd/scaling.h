#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/peaks.h"
#include "bench/sd/model.h"

namespace safelight::bench {

/// How long step and decode take for one workload.
struct ScalingPoint {
  Workload workload;
  Timing step, decode;  ///< decode is timed for batch 1 only
};

/// How cost grows with the size and number of pictures, and how it falls with threads.
struct Scaling {
  int threads = 0;
  std::vector<ScalingPoint> sizes;    ///< squares, batch 1
  std::vector<ScalingPoint> batches;  ///< 512 x 512; decode is not timed
  ScalingPoint one_thread;            ///< 512 x 512, batch 1
  Peaks one_thread_peaks, peaks;

  const ScalingPoint& usual() const;  ///< 512 x 512, batch 1, all threads
  /// One thread's time over that of all.
  double step_speedup() const;
  double decode_speedup() const;
  /// The ratio of the register peaks that `bf16` multiplies by.
  double peak_speedup(bool bf16) const;
};

using OpenModel = std::function<Result<std::unique_ptr<Model>>()>;

/// Times all workloads, `repeats` times each after one run that warms up, and one with a model for
/// one thread. Errors: those of Model.
Result<Scaling> measure_scaling(Model& model, const OpenModel& open_for_one_thread, int repeats);

std::string to_text(const Scaling& scaling, bool bf16);
boost::json::object to_json(const Scaling& scaling, bool bf16);
/// The same as a picture (SVG); `title` tells processor, precision and version.
std::string to_svg(const Scaling& scaling, bool bf16, const std::string& title);

}  // namespace safelight::bench
