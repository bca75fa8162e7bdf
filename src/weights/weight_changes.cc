#include "weights/weight_changes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace safelight::weights {
namespace {

constexpr int64_t kPiece = 1 << 16;  // elements that are worked on at once

class Added : public WeightChange {
 public:
  Added(std::shared_ptr<const Delta> delta, float factor, int64_t offset)
      : delta_(std::move(delta)), factor_(factor), offset_(offset) {}

  void apply(int64_t first, int64_t count, std::span<float> rows) const override {
    std::vector<float> change(rows.size());
    delta_->read(offset_ + first, count, change);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += factor_ * change[i];
  }

 private:
  std::shared_ptr<const Delta> delta_;
  float factor_;
  int64_t offset_;
};

class AddedVector : public WeightChange {
 public:
  AddedVector(Tensor values, float factor) : values_(std::move(values)), factor_(factor) {}
  void apply(int64_t first, int64_t count, std::span<float> rows) const override {
    for (int64_t i = 0; i < count; ++i)
      rows[static_cast<size_t>(i)] += factor_ * values_.begin()[first + i];
  }

 private:
  Tensor values_;
  float factor_;
};

class Multiplied : public WeightChange {
 public:
  Multiplied(Tensor factors, Channels channels, int64_t kernel)
      : factors_(std::move(factors)), channels_(channels), kernel_(kernel) {}

  void apply(int64_t first, int64_t count, std::span<float> rows) const override {
    const auto size = static_cast<int64_t>(rows.size()) / std::max<int64_t>(count, 1);
    float* at = rows.data();
    for (int64_t row = first; row < first + count; ++row) {
      for (int64_t i = 0; i < size; ++i)
        *at++ *= factors_.begin()[channels_ == Channels::kOut ? row : i / kernel_];
    }
  }

 private:
  Tensor factors_;
  Channels channels_;
  int64_t kernel_;
};

/// Lengths are not zero, as LyCORIS has it.
double length(double sum_of_squares) {
  return std::sqrt(sum_of_squares) + double{std::numeric_limits<float>::epsilon()};
}

class Decomposed : public WeightChange {
 public:
  Decomposed(std::shared_ptr<const Delta> delta, float scale, Tensor magnitude, float strength)
      : delta_(std::move(delta)),
        scale_(scale),
        magnitude_(std::move(magnitude)),
        strength_(strength) {}

  /// Finds the norms of the input channels.
  void measure_inputs(const ChangedWeight& before, int64_t kernel) {
    kernel_ = kernel;
    const int64_t size = before.row_size();
    std::vector<double> sums(static_cast<size_t>(size / kernel));
    const int64_t step = std::max<int64_t>(1, kPiece / size);
    for (int64_t first = 0; first < before.rows(); first += step) {
      const int64_t count = std::min(step, before.rows() - first);
      std::vector<float> rows(static_cast<size_t>(count * size));
      before.read(first, count, rows);
      const std::vector<float> merged = merge(first, count, rows);
      for (size_t i = 0; i < merged.size(); ++i)
        sums[i % static_cast<size_t>(size) / static_cast<size_t>(kernel)] +=
            double{merged[i]} * merged[i];
    }
    before.release_pages();
    for (size_t i = 0; i < sums.size(); ++i)
      input_factors_.push_back(static_cast<float>(magnitude_.data[i] / length(sums[i])));
  }

  void apply(int64_t first, int64_t count, std::span<float> rows) const override {
    const std::vector<float> merged = merge(first, count, rows);
    const size_t size = rows.size() / static_cast<size_t>(std::max<int64_t>(count, 1));
    for (int64_t row = 0; row < count; ++row) {
      float* const out = rows.data() + static_cast<size_t>(row) * size;
      const float* const from = merged.data() + static_cast<size_t>(row) * size;
      const float whole = input_factors_.empty() ? row_factor(first + row, {from, size}) : 0;
      for (size_t i = 0; i < size; ++i) {
        const float factor =
            input_factors_.empty() ? whole : input_factors_[i / static_cast<size_t>(kernel_)];
        out[i] += strength_ * (factor * from[i] - out[i]);
      }
    }
  }

 private:
  std::vector<float> merge(int64_t first, int64_t count, std::span<const float> rows) const {
    std::vector<float> merged(rows.size());
    delta_->read(first, count, merged);
    for (size_t i = 0; i < rows.size(); ++i) merged[i] = rows[i] + scale_ * merged[i];
    return merged;
  }

  float row_factor(int64_t row, std::span<const float> merged) const {
    double sum = 0;
    for (const float value : merged) sum += double{value} * value;
    return static_cast<float>(magnitude_.begin()[row] / length(sum));
  }

  std::shared_ptr<const Delta> delta_;
  float scale_;
  Tensor magnitude_;
  float strength_;
  int64_t kernel_ = 1;
  std::vector<float> input_factors_;  ///< empty where the magnitudes are of the rows
};

}  // namespace

std::shared_ptr<const WeightChange> added(std::shared_ptr<const Delta> delta, double factor,
                                          int64_t offset) {
  return std::make_shared<Added>(std::move(delta), static_cast<float>(factor), offset);
}

std::shared_ptr<const WeightChange> added_vector(Tensor values, double factor) {
  return std::make_shared<AddedVector>(std::move(values), static_cast<float>(factor));
}

std::shared_ptr<const WeightChange> multiplied(Tensor factors, Channels channels, int64_t kernel) {
  return std::make_shared<Multiplied>(std::move(factors), channels, kernel);
}

std::shared_ptr<const WeightChange> decomposed(const ChangedWeight& before,
                                               std::shared_ptr<const Delta> delta, double scale,
                                               Tensor magnitude, Channels channels, int64_t kernel,
                                               double strength) {
  const auto change =
      std::make_shared<Decomposed>(std::move(delta), static_cast<float>(scale),
                                   std::move(magnitude), static_cast<float>(strength));
  if (channels == Channels::kIn) change->measure_inputs(before, kernel);
  return change;
}

}  // namespace safelight::weights
