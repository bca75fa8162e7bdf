#include "base/tensor.h"

#include <cmath>
#include <limits>

namespace safelight {

double nmse(const Tensor& got, const Tensor& want) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (got.shape != want.shape || got.data.size() != want.data.size()) return kInfinity;
  double error = 0, power = 0;
  for (size_t i = 0; i < want.data.size(); ++i) {
    const double difference = static_cast<double>(got.data[i]) - want.data[i];
    error += difference * difference;
    power += static_cast<double>(want.data[i]) * want.data[i];
  }
  if (!std::isfinite(error)) return kInfinity;
  if (error == 0) return 0;
  return power > 0 ? error / power : kInfinity;
}

}  // namespace safelight
