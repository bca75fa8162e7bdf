#include "diffusion/brownian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <list>
#include <unordered_map>

#include "base/random.h"
#include "diffusion/seed_sequence.h"

namespace safelight::diffusion {
namespace {

constexpr size_t kPoolSize = 24;  // of the seeds: BrownianTree's default
constexpr size_t kCachedNodes =
    45;  // increments kept, as torchsde does: neighbours share their ancestors

/// Python's round(x, 6): the nearest multiple of 1e-6 as decimal text has it.
double rounded(double x) { return std::strtod(fmt::format("{:.6f}", x).c_str(), nullptr); }

/// An interval of the motion, split in the middle where queries need it.
struct Interval {
  double start = 0, end = 0, middle = 0;
  const Interval* parent = nullptr;
  bool is_left = false;
  uint64_t spawn_key = 0, depth = 0;
  uint32_t noise_seed = 0;  ///< of the split
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
    scale(whole_, std::sqrt(static_cast<double>(t1) - static_cast<double>(t0)));
  }

  /// W(to) - W(from), from <= to.
  std::vector<float> increment(double from, double to) {
    from = std::clamp(from, root_.start, root_.end);
    to = std::clamp(to, root_.start, root_.end);
    std::vector<float> sum(size_, 0.0F);
    if (from == to) return sum;
    std::vector<const Interval*> parts;
    locate(root_, rounded(from), rounded(to), parts);
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::vector<float>& part = increment_of(*parts[i]);
      for (size_t j = 0; j < size_; ++j) sum[j] = i == 0 ? part[j] : sum[j] + part[j];
    }
    return sum;
  }

 private:
  using Cached = std::pair<const Interval*, std::vector<float>>;

  std::vector<float> noise(uint32_t seed) const {
    std::vector<float> values(size_);
    if (source_ == NoiseSource::kNv) {
      PhiloxGenerator(seed).randn(values);
    } else {
      TorchGenerator(seed).randn(values);
    }
    return values;
  }

  static void scale(std::vector<float>& values, double factor) {
    for (float& value : values) value *= static_cast<float>(factor);
  }

  void split(Interval& interval) {
    interval.middle = rounded(0.5 * (interval.end + interval.start));
    if (interval.parent) {
      interval.spawn_key = 2 * interval.parent->spawn_key + (interval.is_left ? 0 : 1);
      interval.depth = interval.parent->depth + 1;
    }
    interval.noise_seed =
        seed_sequence_state(seed_, {interval.spawn_key, interval.depth}, kPoolSize, 1)[0];
    const auto child = [&](double start, double end, bool is_left) {
      auto made = std::make_unique<Interval>();
      made->start = start;
      made->end = end;
      made->parent = &interval;
      made->is_left = is_left;
      return made;
    };
    interval.left = child(interval.start, interval.middle, true);
    interval.right = child(interval.middle, interval.end, false);
  }

  /// Splits on and on until `at` is a border.
  void split_at(Interval& from, double at) {
    Interval* interval = &from;
    while (true) {
      split(*interval);
      if (at == interval->middle || interval->middle <= interval->start ||
          interval->middle >= interval->end)
        return;
      interval = at > interval->middle ? interval->right.get() : interval->left.get();
    }
  }

  /// The intervals that make up [from, to], which lies inside `interval`, in order.
  void locate(Interval& interval, double from, double to, std::vector<const Interval*>& parts) {
    if (from >= to) return;
    if (from <= interval.start && to >= interval.end) {
      parts.push_back(&interval);
      return;
    }
    if (!interval.left) split_at(interval, from <= interval.start ? to : from);
    if (from < interval.middle) locate(*interval.left, from, std::min(to, interval.middle), parts);
    if (to > interval.middle) locate(*interval.right, std::max(from, interval.middle), to, parts);
  }

  /// Increment over an interval, from those of its ancestors (torchsde's Brownian bridge; one
  /// rounding to float32 for each of its operations).
  const std::vector<float>& increment_of(const Interval& interval) {
    if (!interval.parent) return whole_;
    const auto found = position_.find(&interval);
    if (found != position_.end()) return found->second->second;
    const Interval& parent = *interval.parent;
    std::vector<float> values = increment_of(parent);
    const double reciprocal = 1 / (parent.end - parent.start);
    const double left = parent.middle - parent.start, right = parent.end - parent.middle;
    const auto deviation = static_cast<float>(std::sqrt(left * right * reciprocal));
    const std::vector<float> drawn = noise(parent.noise_seed);
    for (size_t i = 0; i < size_; ++i) {
      const float mean = static_cast<float>(left) * values[i] * static_cast<float>(reciprocal);
      const float to_left = mean + deviation * drawn[i];
      values[i] = interval.is_left ? to_left : values[i] - to_left;
    }
    if (recent_.size() >= kCachedNodes) {
      position_.erase(recent_.front().first);
      recent_.pop_front();
    }
    recent_.emplace_back(&interval, std::move(values));
    position_[&interval] = std::prev(recent_.end());
    return recent_.back().second;
  }

  size_t size_;
  uint64_t seed_;
  NoiseSource source_;
  Interval root_;
  std::vector<float> whole_;
  std::list<Cached> recent_;
  std::unordered_map<const Interval*, std::list<Cached>::iterator> position_;
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
