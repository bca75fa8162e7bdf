#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "bench/peaks.h"
#include "bench/sd/model.h"

namespace safelight::bench {

/// Seconds from the start of the process, less the time of writing weights.
struct Startup {
  double opened = 0;    ///< weights mapped and bound
  double prepared = 0;  ///< prompts encoded, denoiser compiled
  double first = 0;     ///< end of the first step
};

/// What oneDNN's primitives alone take for the products of a step or decode.
struct OnednnTiming {
  double seconds = 0, flops = 0;
  struct Row {
    std::string product, layout;
    int64_t count;
    double seconds, flops;  ///< of one
  };
  std::vector<Row> rows;
};

/// All that one run of the benchmark found.
struct Report {
  engine::DeviceInfo device;
  Workload workload;
  Peaks peaks;
  std::optional<Startup> startup;  ///< with step
  std::optional<Timing> step, decode;
  std::optional<OnednnTiming> onednn_step, onednn_decode;
  uint64_t peak_memory = 0;  ///< in bytes

  /// From the start of the process to the end of the first step, less the median step; in seconds.
  double startup_seconds() const { return startup->first - step->median(); }
};

/// For people; with the `layers` slowest layers of each part.
std::string to_text(const Report& report, int layers);
/// For programs; docs/speed.md tells the fields.
boost::json::object to_json(const Report& report);

}  // namespace safelight::bench
