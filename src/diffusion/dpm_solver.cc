// DPM-Solver (Lu et al. 2022, arXiv 2206.00927) of orders 1 to 3 as k-diffusion writes it, in
// t = -log sigma: "fast" with a given number of evaluations, "adaptive" with a step size
// controller.
#include <algorithm>
#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

double level(double t) { return std::exp(-t); }
double time_of(double sigma) { return -std::log(sigma); }

/// One step from t to `next`. The noise predictions are kept, so that steps of several orders from
/// the same place share them.
class Step {
 public:
  Step(SamplerRun& run, const Tensor& x, double t, double next)
      : run_(run), x_(x), t_(t), next_(next) {}

  /// Evaluates the model where the step begins.
  Status begin() {
    Result<Tensor> picture = run_.denoise(x_, level(t_));
    if (!picture) return picture.error();
    denoised_ = std::move(*picture);
    noise_ = slope(x_, denoised_, level(t_));
    return {};
  }
  const Tensor& denoised() const { return denoised_; }

  Tensor first_order() const { return moved(1); }

  Result<Tensor> second_order(double r) {
    if (Status ready = evaluate_first(r); !ready) return ready.error();
    const double weight = -level(next_) / (2 * r) * std::expm1(next_ - t_);
    return sum({{1, moved(1)}, {weight, first_noise_}, {-weight, noise_}});
  }

  Result<Tensor> third_order() {
    constexpr double kFirst = 1.0 / 3, kSecond = 2.0 / 3;
    if (Status ready = evaluate_first(kFirst); !ready) return ready.error();
    const double h = next_ - t_, second = t_ + kSecond * h;
    const double curve = -level(second) * (kSecond / kFirst) * curvature(kSecond * h);
    const Result<Tensor> noise =
        noise_at(sum({{1, moved(kSecond)}, {curve, first_noise_}, {-curve, noise_}}), second);
    if (!noise) return noise;
    const double weight = -level(next_) / kSecond * curvature(h);
    return sum({{1, moved(1)}, {weight, *noise}, {-weight, noise_}});
  }

 private:
  static double curvature(double h) { return std::expm1(h) / h - 1; }

  /// First order over a share of the step.
  Tensor moved(double share) const {
    const double h = share * (next_ - t_);
    return sum({{1, x_}, {-level(t_ + h) * std::expm1(h), noise_}});
  }

  Result<Tensor> noise_at(const Tensor& x, double t) {
    const Result<Tensor> picture = run_.denoise(x, level(t));
    if (!picture) return picture;
    return slope(x, *picture, level(t));
  }

  Status evaluate_first(double r) {
    if (!first_noise_.data.empty()) return {};
    Result<Tensor> noise = noise_at(moved(r), t_ + r * (next_ - t_));
    if (!noise) return noise.error();
    first_noise_ = std::move(*noise);
    return {};
  }

  SamplerRun& run_;
  const Tensor& x_;
  double t_, next_;
  Tensor denoised_, noise_, first_noise_;
};

/// Where an ancestral step from t to `next` steps down to, not below `end`, and the noise that
/// brings it up again.
struct Descent {
  double to, up;
};
Descent descent(double t, double next, double end, double eta) {
  if (eta == 0) return {next, 0};
  const double down = ancestral_step(level(t), level(next), eta).down;
  const double to = down > 0 ? std::min(end, time_of(down)) : end;
  return {to, std::sqrt(std::max(0.0, level(next) * level(next) - level(to) * level(to)))};
}

/// The orders of the steps that make so many evaluations together.
std::vector<int> orders_of(int64_t evaluations) {
  const int64_t steps = evaluations / 3 + 1;
  const bool whole = evaluations % 3 == 0;
  std::vector<int> orders(static_cast<size_t>(whole ? steps - 2 : steps - 1), 3);
  if (whole) {
    orders.insert(orders.end(), {2, 1});
  } else {
    orders.push_back(static_cast<int>(evaluations % 3));
  }
  return orders;
}

}  // namespace

Result<Tensor> sample_dpm_fast(SamplerRun& run) {
  const auto [low, high] = run.range();
  const double start = time_of(high), end = time_of(low);
  const std::vector<int> orders = orders_of(run.requested_steps());
  const auto steps = static_cast<int64_t>(orders.size());
  const auto at = [&](int64_t i) {
    return start + (end - start) * static_cast<double>(i) / static_cast<double>(steps);
  };
  Tensor x = scaled(run.first_noise(), high);
  for (int64_t i = 0; i < steps; ++i) {
    const auto [to, up] = descent(at(i), at(i + 1), end, run.eta());
    Step step(run, x, at(i), to);
    if (Status begun = step.begin(); !begun) return begun.error();
    if (Status go = run.report(i, steps, level(at(i)), x, step.denoised()); !go) return go.error();
    const int order = orders[static_cast<size_t>(i)];
    Result<Tensor> next = order == 1   ? Result<Tensor>(step.first_order())
                          : order == 2 ? step.second_order(0.5)
                                       : step.third_order();
    if (!next) return next;
    x = sum({{1, *next}, {up * run.options().s_noise, run.next_noise()}});
  }
  return x;
}

namespace {

/// k-diffusion's controller of the step size, with its integral term alone (pcoeff and dcoeff are
/// 0).
class StepSize {
 public:
  explicit StepSize(double order) : exponent_(1 / order) {}

  double h() const { return h_; }
  /// Takes a step's error, 1 for one at the limit; whether the step counts.
  bool accept(double error) {
    constexpr double kSafety = 0.81, kTiny = 1e-8;
    const double factor = 1 + std::atan(std::pow(1 / (error + kTiny), exponent_) - 1);
    h_ *= factor;
    return factor >= kSafety;
  }

 private:
  double exponent_, h_ = 0.05;
};

/// Root mean square of the difference between two orders, in units of what is tolerated.
double relative_error(const Tensor& low, const Tensor& high, const Tensor& before) {
  constexpr double kRelative = 0.05, kAbsolute = 0.0078;
  double total = 0;
  for (size_t i = 0; i < low.data.size(); ++i) {
    const double size = std::max(std::abs(low.data[i]), std::abs(before.data[i]));
    const double tolerated = std::max(kAbsolute, kRelative * size);
    const double error = (static_cast<double>(low.data[i]) - high.data[i]) / tolerated;
    total += error * error;
  }
  return std::sqrt(total / static_cast<double>(low.size()));
}

/// Steps of a run that has done `step` and has `left` (a share) of log sigma to go: as many more as
/// were asked for would be in that share. Falls by nothing as steps are done, and ends exact.
int64_t guessed_steps(int64_t step, double left, int64_t requested) {
  return step + 1 + static_cast<int64_t>(std::ceil(left * static_cast<double>(requested)));
}

}  // namespace

Result<Tensor> sample_dpm_adaptive(SamplerRun& run) {
  constexpr int64_t kMostSteps = 2000;
  constexpr double kOrder = 3, kAncestralOrder = 1.5, kReached = 1e-5;
  const auto [low, high] = run.range();
  const double start = time_of(high), end = time_of(low);
  StepSize size(run.eta() > 0 ? kAncestralOrder : kOrder);
  Tensor x = scaled(run.first_noise(), high), before = x;
  double t = start;
  for (int64_t i = 0; t < end - kReached; ++i) {
    const double next = std::min(end, t + size.h());
    const auto [to, up] = descent(t, next, end, run.eta());
    Step step(run, x, t, to);
    if (Status begun = step.begin(); !begun) return begun.error();
    Result<Tensor> rough = step.second_order(1.0 / 3);
    if (!rough) return rough;
    const Result<Tensor> fine = step.third_order();
    if (!fine) return fine;
    const double error = relative_error(*rough, *fine, before);
    if (!std::isfinite(error) || i == kMostSteps) {
      return Error{ErrorCode::kInternal,
                   "DPM adaptive finds no step size: the model gives numbers that are not finite "
                   "or jump. Another sampler will show what it draws"};
    }
    if (size.accept(error)) {
      x = sum({{1, *fine}, {up * run.options().s_noise, run.next_noise()}});
      before = std::move(*rough);
      t = next;
    }
    const double left = t < end - kReached ? (end - t) / (end - start) : 0;
    const int64_t steps = guessed_steps(i, left, run.requested_steps());
    if (Status go = run.report(i, steps, level(t), x, step.denoised()); !go) return go.error();
  }
  return x;
}

}  // namespace safelight::diffusion
