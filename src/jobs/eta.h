#pragma once

#include <map>
#include <mutex>
#include <string>

#include "request/request.h"

namespace safelight::jobs {

/// Learns from past runs how long requests take: seconds a megapixel-step by model, and what comes
/// on top of the steps. Any thread.
class EtaEstimator {
 public:
  /// A run of `request` took so long, without loading the model.
  void learn(const request::Request& request, double seconds);
  /// Seconds that the request will take; negative when nothing of its kind ran yet.
  double estimate(const request::Request& request) const;

 private:
  struct Rate {
    double seconds = 0;  ///< a megapixel-step, recent runs counting most
    int64_t runs = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Rate> by_model_;
};

}  // namespace safelight::jobs
