// UniPC (Zhao et al. 2023), data prediction with B(h) = h ("bh1") or exp(h) - 1 ("bh2"), order 3,
// steps uniform in time: what SD WebUI runs.
#include <algorithm>
#include <cmath>
#include <deque>

#include "diffusion/linear_system.h"
#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

constexpr int64_t kOrder = 3;

enum class Variant { kBh1, kBh2 };

/// The model over continuous time in [1 / N, 1]; log alpha is linear between the timesteps of the
/// table.
class ContinuousModel {
 public:
  explicit ContinuousModel(SamplerRun& run)
      : run_(run), size_(static_cast<double>(run.schedule().size())) {}

  double first_time() const { return 1; }
  double last_time() const { return 1 / size_; }

  double log_alpha(double time) const {
    const std::vector<float>& table = run_.schedule().alphas_cumprod();
    const double at = std::clamp(time * size_ - 1, 0.0, size_ - 1);
    const auto low = std::min(static_cast<size_t>(at), table.size() - 2);
    const double weight = at - static_cast<double>(low);
    return 0.5 * ((1 - weight) * std::log(static_cast<double>(table[low])) +
                  weight * std::log(static_cast<double>(table[low + 1])));
  }
  double alpha(double time) const { return std::exp(log_alpha(time)); }
  double deviation(double time) const { return std::sqrt(-std::expm1(2 * log_alpha(time))); }
  /// Half the log of the signal-to-noise ratio.
  double lambda(double time) const { return log_alpha(time) - std::log(deviation(time)); }
  double sigma(double time) const { return deviation(time) / alpha(time); }

  Result<Tensor> picture(const Tensor& x, double time) {
    return run_.denoise_at(scaled(x, 1 / alpha(time)), sigma(time), time * size_ - 1);
  }

 private:
  SamplerRun& run_;
  double size_;
};

struct Past {
  double time;
  Tensor picture;
};

/// The coefficients of a step from past[0] to `time` (equations 3, 8 and 9 of the paper).
struct StepWeights {
  double x, newest, differences;  ///< of x, of the newest picture, of the sum of differences
  std::vector<double> ratios;     ///< r_k of the earlier pictures
  std::vector<double> predictor, corrector;
};

StepWeights step_weights(const ContinuousModel& model, const std::deque<Past>& past, double time,
                         int64_t order, Variant variant) {
  const double h = model.lambda(time) - model.lambda(past[0].time), hh = -h;
  const double b = variant == Variant::kBh1 ? hh : std::expm1(hh);
  StepWeights weights{model.deviation(time) / model.deviation(past[0].time),
                      -model.alpha(time) * std::expm1(hh),
                      -model.alpha(time) * b,
                      {},
                      {},
                      {}};
  for (int64_t k = 1; k < order; ++k) {
    weights.ratios.push_back(
        (model.lambda(past[static_cast<size_t>(k)].time) - model.lambda(past[0].time)) / h);
  }
  std::vector<double> nodes = weights.ratios, right;
  nodes.push_back(1);
  std::vector<std::vector<double>> powers;
  double phi = std::expm1(hh) / hh - 1, factorial = 1;
  for (int64_t i = 1; i <= order; ++i) {
    std::vector<double> row;
    for (const double node : nodes) row.push_back(std::pow(node, static_cast<double>(i - 1)));
    powers.push_back(row);
    right.push_back(phi * factorial / b);
    factorial *= static_cast<double>(i + 1);
    phi = phi / hh - 1 / factorial;
  }
  weights.corrector = order == 1 ? std::vector<double>{0.5} : solve(powers, right);
  if (order == 2) weights.predictor = {0.5};
  if (order > 2) {
    for (auto& row : powers) row.pop_back();
    powers.pop_back();
    right.pop_back();
    weights.predictor = solve(powers, right);
  }
  return weights;
}

/// Sum of weights times (picture_k - newest) / ratio_k.
Tensor weighted_differences(const std::deque<Past>& past, const StepWeights& step,
                            const std::vector<double>& weights) {
  Tensor total(past[0].picture.shape);
  for (size_t k = 0; k < step.ratios.size(); ++k) {
    const double factor = weights[k] / step.ratios[k];
    total = sum({{1, total}, {factor, past[k + 1].picture}, {-factor, past[0].picture}});
  }
  return total;
}

Result<Tensor> unipc(SamplerRun& run, Variant variant) {
  ContinuousModel model(run);
  // SD WebUI counts steps by its timesteps, which come in whole strides.
  const int64_t size = run.schedule().size(),
                stride = std::max<int64_t>(size / run.requested_steps(), 1);
  const int64_t steps = (size + stride - 1) / stride, top_order = std::min(kOrder, steps);
  const auto time_of = [&](int64_t i) {
    return model.first_time() + (model.last_time() - model.first_time()) * static_cast<double>(i) /
                                    static_cast<double>(steps);
  };
  Tensor x = run.first_noise();
  Result<Tensor> first = model.picture(x, time_of(0));
  if (!first) return first;
  std::deque<Past> past{{time_of(0), std::move(*first)}};  // newest first
  for (int64_t i = 1; i <= steps; ++i) {
    if (Status go = run.report(i - 1, steps, model.sigma(time_of(i - 1)), x, past[0].picture); !go)
      return go.error();
    const int64_t order = i < top_order ? i : std::min(top_order, steps + 1 - i);
    const double time = time_of(i);
    const StepWeights step = step_weights(model, past, time, order, variant);
    const Tensor base = sum({{step.x, x}, {step.newest, past[0].picture}});
    const bool corrects = i < steps;
    Tensor predicted = base;
    if (!step.predictor.empty()) {
      predicted =
          sum({{1, base}, {step.differences, weighted_differences(past, step, step.predictor)}});
    }
    if (!corrects) return predicted;
    Result<Tensor> picture = model.picture(predicted, time);
    if (!picture) return picture;
    const double last = step.corrector.back() * step.differences;
    x = sum({{1, base},
             {step.differences, weighted_differences(past, step, step.corrector)},
             {last, *picture},
             {-last, past[0].picture}});
    past.push_front({time, std::move(*picture)});
    if (static_cast<int64_t>(past.size()) > top_order) past.pop_back();
  }
  return x;
}

}  // namespace

Result<Tensor> sample_unipc(SamplerRun& run) { return unipc(run, Variant::kBh1); }
Result<Tensor> sample_unipc_bh2(SamplerRun& run) { return unipc(run, Variant::kBh2); }

}  // namespace safelight::diffusion
