#include <algorithm>
#include <cmath>

#include "graph/reference_operators.h"

namespace safelight::graph::reference {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments(const float* values, int64_t count) {
  Moments result;
  for (int64_t i = 0; i < count; ++i) result.mean += values[i];
  result.mean /= static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i)
    result.variance += (values[i] - result.mean) * (values[i] - result.mean);
  result.variance /= static_cast<double>(count);
  return result;
}

}  // namespace

void group_statistics(const Node& node, const Operands& in, Tensor& out) {
  const int64_t groups = node.shape[0] * node.shape[1], span = in[0]->size() / groups;
  for (int64_t g = 0; g < groups; ++g) {
    const auto [mean, variance] = moments(in[0]->begin() + g * span, span);
    out.data[2 * g] = static_cast<float>(mean);
    out.data[2 * g + 1] = static_cast<float>(variance);
  }
}

/// kGroupNorm, and kGroupNormalise, whose fourth operand has the statistics.
void group_norm(const Node& node, const Operands& in, Tensor& out) {
  const auto& [groups, epsilon] = node.as<NormAttributes>();
  const Tensor& x = *in[0];
  const int64_t channels = node.shape[1], positions = x.size() / (node.shape[0] * channels);
  const int64_t span = channels / groups * positions;
  for (int64_t g = 0; g < node.shape[0] * groups; ++g) {
    const float* from = x.begin() + g * span;
    const bool given = node.op == Op::kGroupNormalise;
    const auto [mean, variance] =
        given ? Moments{in[3]->data[2 * g], in[3]->data[2 * g + 1]} : moments(from, span);
    const double scale = 1 / std::sqrt(variance + epsilon);
    for (int64_t i = 0; i < span; ++i) {
      const int64_t c = g % groups * (channels / groups) + i / positions;
      out.data[g * span + i] =
          static_cast<float>((from[i] - mean) * scale * in[1]->data[c] + in[2]->data[c]);
    }
  }
}

/// kLayerNorm, kRmsNorm and kSoftmax: row by row of the last dimension.
void normalise_rows(const Node& node, const Operands& in, Tensor& out) {
  const int64_t columns = node.shape.back();
  for (int64_t r = 0; r < out.size() / columns; ++r) {
    const float* x = in[0]->begin() + r * columns;
    float* y = out.begin() + r * columns;
    double mean = 0, power = 0, total = 0;
    const double top = *std::max_element(x, x + columns);
    for (int64_t c = 0; c < columns; ++c) mean += x[c] / static_cast<double>(columns);
    if (node.op == Op::kRmsNorm) mean = 0;
    for (int64_t c = 0; c < columns; ++c)
      power += (x[c] - mean) * (x[c] - mean) / static_cast<double>(columns);
    for (int64_t c = 0; c < columns; ++c) total += std::exp(x[c] - top);
    for (int64_t c = 0; c < columns; ++c) {
      if (node.op == Op::kSoftmax) {
        y[c] = static_cast<float>(std::exp(x[c] - top) / total);
        continue;
      }
      double value = (x[c] - mean) / std::sqrt(power + node.as<NormAttributes>().epsilon);
      if (in[1]) value *= in[1]->data[c];
      if (node.op == Op::kLayerNorm && in[2]) value += in[2]->data[c];
      y[c] = static_cast<float>(value);
    }
  }
}

}  // namespace safelight::graph::reference
