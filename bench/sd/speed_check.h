#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "bench/sd/model.h"

namespace safelight::bench {

/// The speed of a step compared to oneDNN's primitives on the same products in the same run, so
/// that processors and busy machines cancel out.
struct SpeedShare {
  double step = 0, onednn = 0;  ///< median seconds
  double share = 0;             ///< median over the rounds of oneDNN's time over the step's
};

/// "avx2/f32, 2 threads: a step takes 3.100 s, oneDNN alone 3.000 s for its products: 96.8 % of
/// oneDNN's rate"
std::string describe(const engine::DeviceInfo& device, const SpeedShare& share);

/// Takes turns between a step and oneDNN. Errors: those of Model.
Result<SpeedShare> measure_share(Model& model, const Workload& workload, int rounds);

/// The shares that were measured on quiet machines, by instruction set and precision, in a file.
class SharesOnFile {
 public:
  /// Errors: kCorruptFile, kIo; a file that does not exist is empty.
  static Result<SharesOnFile> read(const std::filesystem::path& path);

  /// 0 where none is on file.
  double find(const engine::DeviceInfo& device) const;
  /// Writes the file with this one's share set anew. Errors: kIo.
  Status record(const engine::DeviceInfo& device, const SpeedShare& share);

 private:
  std::filesystem::path path_;
  boost::json::object entries_;
};

/// Measures the share, and once more where it is too small. Errors: kInternal with all numbers when
/// it is more than 15 % below the one on file both times; kNotFound when none is on file.
Status check_speed(Model& model, const Workload& workload, const SharesOnFile& on_file, int rounds);

}  // namespace safelight::bench
