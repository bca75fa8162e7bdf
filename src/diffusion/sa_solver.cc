// SA-Solver (Xue et al. 2023, arXiv 2309.05019), a stochastic Adams predictor and corrector that
// predicts the picture, in lambda = -log sigma, as ComfyUI has it: orders 3 and 4, noise (tau =
// eta) between a fifth and four fifths of the model's timesteps.
#include <algorithm>
#include <cmath>
#include <deque>

#include "diffusion/linear_system.h"
#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

constexpr int64_t kPredictor = 3, kCorrector = 4;

/// The weights b of the pictures at `nodes` (lambda less the step's end) for a step of length h:
/// the integrals (1 + tau^2) exp((1 + tau^2) u) l_j(u) over u in [-h, 0] of the Lagrange
/// polynomials l_j (equations 15 and 18 of the paper).
std::vector<double> adams_weights(const std::vector<double>& nodes, double h, double tau) {
  const double rate = 1 + tau * tau;
  std::vector<double> moments;  // the same integrals of u^p, by parts
  std::vector<std::vector<double>> powers;
  for (size_t p = 0; p < nodes.size(); ++p) {
    const auto power = static_cast<double>(p);
    const double bounds = (p == 0 ? 1 : 0) - std::pow(-h, power) * std::exp(-rate * h);
    moments.push_back(p == 0 ? bounds : bounds - power / rate * moments.back());
    std::vector<double> row;
    for (const double node : nodes) row.push_back(std::pow(node, power));
    powers.push_back(std::move(row));
  }
  return solve(std::move(powers), std::move(moments));
}

/// A run's state.
class Adams {
 public:
  explicit Adams(SamplerRun& run) : run_(run) {
    for (const float sigma : run.sigmas()) lambdas_.push_back(-std::log(sigma));
    const auto last = static_cast<double>(run.schedule().size() - 1);
    noise_below_ = run.schedule().sigma(0.8 * last);
    noise_above_ = run.schedule().sigma(0.2 * last);
  }

  int64_t predictor_order(int64_t i) const {
    return std::min({kPredictor, held(), ends_at_zero() ? run_.steps() - 1 - i : kPredictor});
  }
  int64_t corrector_order(int64_t i) const {
    return std::min({kCorrector, held(), ends_at_zero() ? run_.steps() - i : kCorrector});
  }

  void keep(Tensor picture) {
    pictures_.push_front(std::move(picture));
    if (held() > kCorrector) pictures_.pop_back();
  }
  void replace(Tensor picture) { pictures_.front() = std::move(picture); }
  const Tensor& newest() const { return pictures_.front(); }

  /// x at level i + 1 from x at level i.
  Tensor predict(const Tensor& x, int64_t i) {
    const double next = run_.sigmas()[i + 1];
    tau_ = next >= noise_above_ && next <= noise_below_ ? run_.eta() : 0;
    Tensor moved = moved_by(x, i, i, predictor_order(i));
    if (tau_ > 0 && run_.options().s_noise > 0) {
      const double h = lambdas_[i + 1] - lambdas_[i];
      const double up = next * std::sqrt(-std::expm1(-2 * tau_ * tau_ * h));
      noise_ = scaled(run_.next_noise(), up * run_.options().s_noise);
      moved = sum({{1, moved}, {1, noise_}});
    }
    return moved;
  }

  /// x at level i, again, from x at level i - 1 and the picture that was seen at its prediction.
  Tensor correct(const Tensor& x, int64_t i) {
    const Tensor moved = moved_by(x, i - 1, i, corrector_order(i));
    if (tau_ == 0 || run_.options().s_noise == 0) return moved;
    return sum({{1, moved}, {1, noise_}});
  }

 private:
  int64_t held() const { return static_cast<int64_t>(pictures_.size()); }
  bool ends_at_zero() const { return run_.sigmas().back() == 0; }

  /// x over the step from level `from`, by `order` pictures of which the newest is at level
  /// `newest`.
  Tensor moved_by(const Tensor& x, int64_t from, int64_t newest, int64_t order) const {
    const std::vector<float>& sigmas = run_.sigmas();
    const double h = lambdas_[from + 1] - lambdas_[from];
    std::vector<double> nodes;
    for (int64_t k = 0; k < order; ++k) nodes.push_back(lambdas_[newest - k] - lambdas_[from + 1]);
    const std::vector<double> weights = adams_weights(nodes, h, tau_);
    Tensor moved = scaled(x, sigmas[from + 1] / sigmas[from] * std::exp(-tau_ * tau_ * h));
    for (size_t k = 0; k < weights.size(); ++k)
      moved = sum({{1, moved}, {weights[k], pictures_[k]}});
    return moved;
  }

  SamplerRun& run_;
  std::vector<double> lambdas_;
  double noise_below_ = 0, noise_above_ = 0;  ///< sigmas between which noise is added
  double tau_ = 0;                            ///< of the last prediction
  std::deque<Tensor> pictures_;               ///< newest first
  Tensor noise_;                              ///< of the last prediction
};

/// With `evaluates_twice` the model sees the corrected x as well (PECE).
Result<Tensor> sa_solver(SamplerRun& run, bool evaluates_twice) {
  const std::vector<float>& sigmas = run.sigmas();
  Adams adams(run);
  Tensor x, predicted = scaled(run.first_noise(), sigmas[0]);
  for (int64_t i = 0; i < run.steps(); ++i) {
    Result<Tensor> denoised = run.denoise_step(i, predicted);
    if (!denoised) return denoised;
    adams.keep(std::move(*denoised));
    if (i == 0 || (sigmas[i + 1] == 0 && !evaluates_twice)) {
      x = std::move(predicted);
    } else {
      x = adams.correct(x, i);
      if (evaluates_twice) {
        Result<Tensor> again = run.denoise(x, sigmas[i]);
        if (!again) return again;
        adams.replace(std::move(*again));
      }
    }
    predicted = sigmas[i + 1] == 0 ? adams.newest() : adams.predict(x, i);
  }
  return predicted;
}

}  // namespace

Result<Tensor> sample_sa_solver(SamplerRun& run) { return sa_solver(run, false); }
Result<Tensor> sample_sa_solver_pece(SamplerRun& run) { return sa_solver(run, true); }

}  // namespace safelight::diffusion
