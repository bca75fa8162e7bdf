#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "diffusion/noise.h"
#include "diffusion/sigma_schedule.h"

namespace safelight::diffusion {

/// The picture that the model sees behind x = picture + sigma * noise [B, C, h, w]. `timestep` is
/// what the network is told; mostly that of sigma.
using Denoiser = std::function<Result<Tensor>(const Tensor& x, double sigma, double timestep)>;

/// Where a run stands, after a step's first evaluation.
struct StepInfo {
  int64_t step = 0;   ///< from 0
  int64_t steps = 0;  ///< of the whole run
  double sigma = 0;
  const Tensor& x;  ///< in the sampler's own scale, as its reference reports it
  const Tensor& denoised;
};
/// An error ends the run and is its result.
using StepCallback = std::function<Status(const StepInfo&)>;

struct SamplerOptions {
  std::optional<double> eta;  ///< the sampler's own default when not given
  double s_churn = 0, s_tmin = 0, s_tmax = std::numeric_limits<double>::infinity(), s_noise = 1;
  /// Whether one step more is spaced and the last sigma above the end left out; the sampler's own
  /// way when not given.
  std::optional<bool> discard_penultimate = {};
};

/// What a run of a sampler needs.
struct SampleInputs {
  const NoiseSchedule& schedule;
  Spacing spacing = Spacing::kAutomatic;
  int64_t steps = 20;  ///< at least 1
  SamplerOptions options;
  ImageNoise& noise;            ///< not yet drawn from
  std::vector<uint64_t> seeds;  ///< of the pictures, for the SDE samplers' Brownian motion
  std::vector<int64_t> shape;   ///< of one picture's latents [C, h, w]
  SigmaOptions sigma_options = {};
  /// The unconditional picture of the denoiser's last call, which CFG++ samplers need. Without one
  /// (no guidance) it is the picture itself.
  std::function<const Tensor&()> unguided = {};
};
/// Errors: kInvalidArgument for numbers that no run can be made of.
Status check(const SampleInputs& inputs);

class SamplerRun;

/// A sampler, by SD WebUI's name. docs/samplers.md says which reference function each equals.
struct SamplerInfo {
  std::string_view name;
  std::string_view aliases = {};  ///< separated by commas
  /// What Automatic means; kAutomatic for samplers with timesteps of their own.
  Spacing automatic = Spacing::kUniform;
  bool uses_spacing = true;           ///< false: other spacings change nothing
  bool stochastic = false;            ///< draws noise while it runs, by default
  bool brownian = false;              ///< that noise is a Brownian motion's
  bool discards_penultimate = false;  ///< see SamplerOptions
  /// CFG++: needs SampleInputs::unguided, and wants a low cfg_scale.
  bool uses_unguided = false;
  /// Of the model in a step, at most; the step to sigma 0 needs fewer, PLMS's first two.
  int evaluations = 1;
  bool counts_evaluations = false;  ///< the steps that are asked for are evaluations
  double eta = 0;                   ///< default
  std::string_view reference;       ///< the function that it equals
  Result<Tensor> (*function)(SamplerRun& run) = nullptr;
};

/// The one list, in SD WebUI's order, those of other programs behind.
std::span<const SamplerInfo> samplers();

struct SamplerChoice {
  const SamplerInfo* sampler = nullptr;
  std::optional<Spacing> spacing;  ///< where the name ends in one, as in "DPM++ 2M Karras"
};
/// By name or alias, any case. Errors: kInvalidArgument naming the nearest; kUnsupported for the
/// samplers of flow models.
Result<SamplerChoice> find_sampler(std::string_view name);

/// What users should know of a choice that works: a schedule that does nothing, steps that are not
/// made, a guidance scale that the sampler is not for.
std::vector<std::string> hints(const SamplerInfo& sampler, Spacing spacing, int64_t steps,
                               double cfg_scale);

/// Draws the noise, runs the sampler and gives the latents [B, C, h, w]. Errors: those of the
/// denoiser and the callback.
Result<Tensor> sample(const SamplerInfo& sampler, const SampleInputs& inputs,
                      const Denoiser& denoiser, const StepCallback& callback);

}  // namespace safelight::diffusion
