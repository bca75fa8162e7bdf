#pragma once

#include <memory>

#include "diffusion/arithmetic.h"
#include "diffusion/brownian.h"
#include "diffusion/sampler.h"

namespace safelight::diffusion {

/// One run: what the samplers' functions share.
class SamplerRun {
 public:
  SamplerRun(const SamplerInfo& sampler, const SampleInputs& inputs, const Denoiser& denoiser,
             const StepCallback& callback);

  const NoiseSchedule& schedule() const { return inputs_.schedule; }
  const SamplerOptions& options() const { return inputs_.options; }
  int64_t requested_steps() const { return inputs_.steps; }
  double eta() const { return inputs_.options.eta.value_or(sampler_.eta); }
  SigmaRange range() const { return diffusion::range(inputs_.sigma_options, inputs_.schedule); }

  /// Falling sigmas, mostly with 0 behind them (empty for samplers with timesteps of their own).
  const std::vector<float>& sigmas() const { return sigmas_; }
  /// Steps between them.
  int64_t steps() const { return static_cast<int64_t>(sigmas_.size()) - 1; }

  Tensor first_noise() { return inputs_.noise.first(); }
  Tensor next_noise() { return inputs_.noise.next(); }
  Tensor brownian_noise(double sigma, double sigma_next);

  /// Karras' churn: noise added before a step. Gives the level after it.
  double churn(Tensor& x, double sigma);

  /// The unconditional picture of the last evaluation, which gave `denoised`.
  const Tensor& unguided(const Tensor& denoised) const {
    return inputs_.unguided ? inputs_.unguided() : denoised;
  }

  Result<Tensor> denoise(const Tensor& x, double sigma) {
    return denoiser_(x, sigma, schedule().timestep(sigma));
  }
  Result<Tensor> denoise_at(const Tensor& x, double sigma, double timestep) {
    return denoiser_(x, sigma, timestep);
  }
  /// The prediction at the i-th sigma, reported as the step's.
  Result<Tensor> denoise_step(int64_t i, const Tensor& x) {
    return reported(i, steps(), sigmas_[static_cast<size_t>(i)], x,
                    denoise(x, sigmas_[static_cast<size_t>(i)]));
  }
  /// Reports a prediction unless it failed; gives it, or what ended the run.
  Result<Tensor> reported(int64_t step, int64_t steps, double sigma, const Tensor& x,
                          Result<Tensor> denoised) {
    if (!denoised) return denoised;
    if (Status go = report(step, steps, sigma, x, *denoised); !go) return go.error();
    return denoised;
  }
  Status report(int64_t step, int64_t steps, double sigma, const Tensor& x,
                const Tensor& denoised) {
    return callback_({step, steps, sigma, x, denoised});
  }

 private:
  const SamplerInfo& sampler_;
  const SampleInputs& inputs_;
  const Denoiser& denoiser_;
  const StepCallback& callback_;
  std::vector<float> sigmas_;
  std::unique_ptr<BrownianNoise> brownian_;
};

/// k-diffusion's get_ancestral_step: the level to step down to and the noise to add after, for a
/// step between two levels.
struct AncestralStep {
  double down, up;
};
AncestralStep ancestral_step(double from, double to, double eta);

// The samplers, one function each (see the list in sampler_list.cc).
Result<Tensor> sample_euler(SamplerRun& run);
Result<Tensor> sample_euler_ancestral(SamplerRun& run);
Result<Tensor> sample_heun(SamplerRun& run);
Result<Tensor> sample_dpm2(SamplerRun& run);
Result<Tensor> sample_dpm2_ancestral(SamplerRun& run);
Result<Tensor> sample_lms(SamplerRun& run);
Result<Tensor> sample_dpmpp_2s_ancestral(SamplerRun& run);
Result<Tensor> sample_dpmpp_2m(SamplerRun& run);
Result<Tensor> sample_dpmpp_sde(SamplerRun& run);
Result<Tensor> sample_dpmpp_2m_sde(SamplerRun& run);
Result<Tensor> sample_dpmpp_2m_sde_heun(SamplerRun& run);
Result<Tensor> sample_dpmpp_3m_sde(SamplerRun& run);
Result<Tensor> sample_dpm_fast(SamplerRun& run);
Result<Tensor> sample_dpm_adaptive(SamplerRun& run);
Result<Tensor> sample_restart(SamplerRun& run);
Result<Tensor> sample_ddim(SamplerRun& run);
Result<Tensor> sample_ddim_cfg_pp(SamplerRun& run);
Result<Tensor> sample_ddpm(SamplerRun& run);
Result<Tensor> sample_plms(SamplerRun& run);
Result<Tensor> sample_unipc(SamplerRun& run);
Result<Tensor> sample_unipc_bh2(SamplerRun& run);
Result<Tensor> sample_deis(SamplerRun& run);
Result<Tensor> sample_lcm(SamplerRun& run);
Result<Tensor> sample_tcd(SamplerRun& run);
Result<Tensor> sample_euler_cfg_pp(SamplerRun& run);
Result<Tensor> sample_euler_ancestral_cfg_pp(SamplerRun& run);
Result<Tensor> sample_dpmpp_2m_cfg_pp(SamplerRun& run);
Result<Tensor> sample_dpmpp_2s_ancestral_cfg_pp(SamplerRun& run);
Result<Tensor> sample_heunpp2(SamplerRun& run);
Result<Tensor> sample_ipndm(SamplerRun& run);
Result<Tensor> sample_ipndm_v(SamplerRun& run);
Result<Tensor> sample_res_multistep(SamplerRun& run);
Result<Tensor> sample_res_multistep_cfg_pp(SamplerRun& run);
Result<Tensor> sample_gradient_estimation(SamplerRun& run);
Result<Tensor> sample_gradient_estimation_cfg_pp(SamplerRun& run);
Result<Tensor> sample_er_sde(SamplerRun& run);
Result<Tensor> sample_seeds_2(SamplerRun& run);
Result<Tensor> sample_seeds_3(SamplerRun& run);
Result<Tensor> sample_exponential_heun(SamplerRun& run);
Result<Tensor> sample_sa_solver(SamplerRun& run);
Result<Tensor> sample_sa_solver_pece(SamplerRun& run);

}  // namespace safelight::diffusion
