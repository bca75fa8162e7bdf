// SEEDS (Gonzalez et al. 2023, arXiv 2305.14267): stochastic exponential solvers of two and three
// stages, predicting the picture, in lambda = -log sigma; and the exponential Heun method, which is
// SEEDS of two stages with the second at the step's end. As ComfyUI has them.
#include <cmath>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

/// h phi_2(h) of exponential integrators.
double h_phi_2(double h) { return (std::expm1(h) - h) / h; }

/// The noise of a step, which grows from stage to stage: unit variance of one Ornstein-Uhlenbeck
/// path.
class StepNoise {
 public:
  StepNoise(SamplerRun& run, double eta_h)
      : run_(run), eta_h_(eta_h), draws_(run.eta() > 0 && run.options().s_noise > 0) {}

  /// Adds the noise that has gathered from the step's beginning up to `share` of it.
  void add(Tensor& x, double sigma, double share) {
    if (!draws_) return;
    const double passed = (share - share_) * eta_h_;
    const Tensor fresh = run_.next_noise();
    const double up = std::sqrt(-std::expm1(-2 * passed));
    gathered_ =
        share_ == 0 ? scaled(fresh, up) : sum({{std::exp(-passed), gathered_}, {up, fresh}});
    share_ = share;
    x = sum({{1, x}, {sigma * run_.options().s_noise, gathered_}});
  }

 private:
  SamplerRun& run_;
  double eta_h_, share_ = 0;
  bool draws_;
  Tensor gathered_;
};

/// A step between two levels.
struct Span {
  double sigma, h, eta;

  double level(double share) const { return sigma * std::exp(-share * h); }
  /// By what x shrinks up to a share of the step.
  double left(double share) const { return std::exp(-share * h * (1 + eta)); }
  /// Minus h phi_1 and h phi_2 of a share of the step.
  double first(double share) const { return -std::expm1(-share * h * (1 + eta)); }
  double second(double share) const { return -h_phi_2(-share * h * (1 + eta)); }
};

/// Calls step(x, picture, span, noise) for each step but the last to 0; it changes x.
template <class Step>
Result<Tensor> each_span(SamplerRun& run, Step step) {
  const std::vector<float>& sigmas = run.sigmas();
  Tensor x = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const double sigma = sigmas[i], next = sigmas[i + 1];
    const Result<Tensor> denoised = run.denoise_step(i, x);
    if (!denoised) return denoised;
    if (next == 0) {
      x = *denoised;
      continue;
    }
    const Span span{sigma, std::log(sigma / next), run.eta()};
    StepNoise noise(run, span.eta * span.h);
    if (Status done = step(x, *denoised, span, noise); !done) return done.error();
  }
  return x;
}

}  // namespace

Result<Tensor> sample_seeds_2(SamplerRun& run) {
  constexpr double kMiddle = 0.5;
  return each_span(
      run, [&](Tensor& x, const Tensor& picture, const Span& span, StepNoise& noise) -> Status {
        Tensor halfway = sum({{span.left(kMiddle), x}, {span.first(kMiddle), picture}});
        noise.add(halfway, span.level(kMiddle), kMiddle);
        const Result<Tensor> again = run.denoise(halfway, span.level(kMiddle));
        if (!again) return again.error();
        x = sum({{span.left(1), x}, {span.first(1), *again}});
        noise.add(x, span.level(1), 1);
        return {};
      });
}

Result<Tensor> sample_exponential_heun(SamplerRun& run) {
  return each_span(
      run, [&](Tensor& x, const Tensor& picture, const Span& span, StepNoise& noise) -> Status {
        Tensor ahead = sum({{span.left(1), x}, {span.first(1), picture}});
        noise.add(ahead, span.level(1), 1);
        const Result<Tensor> again = run.denoise(ahead, span.level(1));
        if (!again) return again.error();
        const double weight = span.second(1);
        x = sum({{span.left(1), x}, {span.first(1) - weight, picture}, {weight, *again}});
        noise.add(x, span.level(1), 1);
        return {};
      });
}

Result<Tensor> sample_seeds_3(SamplerRun& run) {
  constexpr double kFirst = 1.0 / 3, kSecond = 2.0 / 3;
  return each_span(
      run, [&](Tensor& x, const Tensor& picture, const Span& span, StepNoise& noise) -> Status {
        Tensor stage = sum({{span.left(kFirst), x}, {span.first(kFirst), picture}});
        noise.add(stage, span.level(kFirst), kFirst);
        const Result<Tensor> second = run.denoise(stage, span.level(kFirst));
        if (!second) return second.error();

        const double a = kSecond / kFirst * span.second(kSecond);
        stage = sum({{span.left(kSecond), x}, {span.first(kSecond) - a, picture}, {a, *second}});
        noise.add(stage, span.level(kSecond), kSecond);
        const Result<Tensor> third = run.denoise(stage, span.level(kSecond));
        if (!third) return third.error();

        const double b = span.second(1) / kSecond;
        x = sum({{span.left(1), x}, {span.first(1) - b, picture}, {b, *third}});
        noise.add(x, span.level(1), 1);
        return {};
      });
}

}  // namespace safelight::diffusion
