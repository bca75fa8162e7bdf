#include "diffusion/brownian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/random.h"
#include "diffusion/seed_sequence.h"

namespace safelight::diffusion {
namespace {

constexpr size_t kPoolSize = 24;  // of the seeds: BrownianTree's default

/// Python's round(x, 6): the nearest multiple of 1e-6 as decimal text has it.
double rounded(double x) { return std::strtod(fmt::format("{:.6f}", x).c_str(), nullptr); }

/// An interval of the motion, split in the middle where queries need it.
struct Interval {
  double start = 0, end = 0;
  uint64_t spawn_key = 0, depth = 0;

  double middle = 0;
  uint32_t noise_seed = 0;            ///< of the split
  std::vector<float> left_increment;  ///< empty where not kept
  uint64_t last_query = 0;            ///< that used left_increment
  std::unique_ptr<Interval> left, right;
};

}  // namespace

/// The Brownian motion of one picture.
class BrownianTree {
 public:
  BrownianTree(size_t size, uint64_t seed, float t0, float t1, NoiseSource source)
      : size_(size), seed_(seed), source_(source) {
    root_.start = rounded(t0);
    root_.end = rounded(t1);
    whole_ = noise(seed_sequence_state(seed, {}, kPoolSize, 1)[0]);
    const auto deviation =
        static_cast<float>(std::sqrt(static_cast<double>(t1) - static_cast<double>(t0)));
    for (float& value : whole_) value *= deviation;
  }

  /// W(to) - W(from), from <= to.
  std::vector<float> increment(double from, double to) {
    from = std::clamp(from, root_.start, root_.end);
    to = std::clamp(to, root_.start, root_.end);
    std::vector<float> sum;
    ++query_;
    if (from < to) add_parts(root_, whole_, rounded(from), rounded(to), sum);
    forget_unused();
    sum.resize(size_, 0.0F);  // nothing to add: an empty interval
    return sum;
  }

 private:
  std::vector<float> noise(uint32_t seed) const {
    std::vector<float> values(size_);
    if (source_ == NoiseSource::kNv) {
      PhiloxGenerator(seed).randn(values);
    } else {
      TorchGenerator(seed).randn(values);
    }
    return values;
  }

  void split(Interval& interval) const {
    interval.middle = rounded(0.5 * (interval.end + interval.start));
    interval.noise_seed =
        seed_sequence_state(seed_, {interval.spawn_key, interval.depth}, kPoolSize, 1)[0];
    const auto child = [&](double start, double end, bool is_right) {
      auto made = std::make_unique<Interval>();
      made->start = start;
      made->end = end;
      made->spawn_key = 2 * interval.spawn_key + (is_right ? 1 : 0);
      made->depth = interval.depth + 1;
      return made;
    };
    interval.left = child(interval.start, interval.middle, false);
    interval.right = child(interval.middle, interval.end, true);
  }

  /// Splits on and on until `at` is a border.
  void split_at(Interval& from, double at) const {
    Interval* interval = &from;
    while (true) {
      split(*interval);
      if (at == interval->middle || interval->middle <= interval->start ||
          interval->middle >= interval->end)
        return;
      interval = at > interval->middle ? interval->right.get() : interval->left.get();
    }
  }

  /// Adds to `sum` the increments of the intervals that make up [from, to], which lies inside
  /// `interval` of increment `whole`, in order of time.
  void add_parts(Interval& interval, std::vector<float> whole, double from, double to,
                 std::vector<float>& sum) {
    if (from >= to) return;
    if (from <= interval.start && to >= interval.end) {
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += whole[i];
      if (sum.empty()) sum = std::move(whole);
      return;
    }
    if (!interval.left) split_at(interval, from <= interval.start ? to : from);
    std::vector<float> part = left_increment(interval, whole);
    const bool right = to > interval.middle;
    if (right) {
      for (size_t i = 0; i < size_; ++i) whole[i] -= part[i];
    }
    if (from < interval.middle) {
      add_parts(*interval.left, std::move(part), from, std::min(to, interval.middle), sum);
    }
    if (right) {
      add_parts(*interval.right, std::move(whole), std::max(from, interval.middle), to, sum);
    }
  }

  /// Increment over the left half of an interval of increment `whole`.
  const std::vector<float>& left_increment(Interval& interval, const std::vector<float>& whole) {
    if (interval.left_increment.empty()) {
      interval.left_increment = bridge(interval, whole);
      kept_.push_back(&interval);
    }
    interval.last_query = query_;
    return interval.left_increment;
  }

  /// Keeps what the last query drew on: the next one mostly begins where it ended, and drawing is
  /// what costs time.
  void forget_unused() {
    std::erase_if(kept_, [&](Interval* interval) {
      if (interval->last_query == query_) return false;
      interval->left_increment = {};
      return true;
    });
  }

  /// torchsde's Brownian bridge: the left half's increment, given that of the whole. One rounding
  /// to float32 for each of its operations.
  std::vector<float> bridge(const Interval& interval, const std::vector<float>& whole) const {
    const double reciprocal = 1 / (interval.end - interval.start);
    const double left = interval.middle - interval.start, right = interval.end - interval.middle;
    const auto deviation = static_cast<float>(std::sqrt(left * right * reciprocal));
    std::vector<float> values = noise(interval.noise_seed);
    for (size_t i = 0; i < size_; ++i) {
      const float mean = static_cast<float>(left) * whole[i] * static_cast<float>(reciprocal);
      values[i] = mean + deviation * values[i];
    }
    return values;
  }

  size_t size_;
  uint64_t seed_;
  NoiseSource source_;
  Interval root_;
  std::vector<float> whole_;
  uint64_t query_ = 0;
  std::vector<Interval*> kept_;  ///< those with a left_increment
};

BrownianNoise::BrownianNoise(std::vector<int64_t> shape, const std::vector<uint64_t>& seeds,
                             float sigma_min, float sigma_max, NoiseSource source)
    : shape_(std::move(shape)) {
  const auto size = static_cast<size_t>(Tensor::count(shape_));
  for (const uint64_t seed : seeds) {
    trees_.push_back(std::make_unique<BrownianTree>(size, seed, std::min(sigma_min, sigma_max),
                                                    std::max(sigma_min, sigma_max), source));
  }
  shape_.insert(shape_.begin(), static_cast<int64_t>(seeds.size()));
}

BrownianNoise::~BrownianNoise() = default;

Tensor BrownianNoise::operator()(double sigma, double sigma_next) {
  Tensor noise(shape_);
  const float sign = sigma < sigma_next ? 1.0F : -1.0F;
  const float root =
      std::sqrt(std::abs(static_cast<float>(sigma_next) - static_cast<float>(sigma)));
  float* to = noise.begin();
  for (const auto& tree : trees_) {
    const std::vector<float> increment =
        tree->increment(std::min(sigma, sigma_next), std::max(sigma, sigma_next));
    to = std::transform(increment.begin(), increment.end(), to,
                        [&](float w) { return root > 0 ? w * sign / root : 0.0F; });
  }
  return noise;
}

}  // namespace safelight::diffusion
