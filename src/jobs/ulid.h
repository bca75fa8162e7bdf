#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "jobs/job.h"

namespace safelight::jobs {

/// Makes ULIDs (26 characters of Crockford's base32: 48 bits of milliseconds, 80 random bits) that
/// grow from call to call, whatever the clock does. Any thread.
class UlidGenerator {
 public:
  /// The ids made from now on are larger than `id`, if that is a ULID.
  void follow(std::string_view id);
  std::string next(Time time);

 private:
  static constexpr size_t kBytes = 16;
  std::mutex mutex_;
  std::array<uint8_t, kBytes> last_{};  ///< big endian
};

}  // namespace safelight::jobs
