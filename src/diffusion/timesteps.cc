// Samplers on the model's own timesteps, in the variance-preserving scale x = sqrt(alpha-bar)
// picture + sqrt(1 - alpha-bar) noise: DDIM (Song et al. 2020) and PLMS (Liu et al. 2022) as SD
// WebUI has them, DDPM (Ho et al. 2020) and TCD (Zheng et al. 2024) as diffusers.
#include <algorithm>
#include <cmath>
#include <deque>

#include "diffusion/sampler_run.h"

namespace safelight::diffusion {
namespace {

/// Evaluates the model at a timestep of the table.
class TimestepModel {
 public:
  explicit TimestepModel(SamplerRun& run) : run_(run) {}

  double alpha_bar(int64_t timestep) const {
    return run_.schedule().alphas_cumprod()[static_cast<size_t>(timestep)];
  }
  double sigma(int64_t timestep) const {
    return std::sqrt((1 - alpha_bar(timestep)) / alpha_bar(timestep));
  }

  Result<Tensor> denoised(const Tensor& x, int64_t timestep) {
    return run_.denoise_at(scaled(x, 1 / std::sqrt(alpha_bar(timestep))), sigma(timestep),
                           static_cast<double>(timestep));
  }
  /// The noise in x, when the picture is `denoised`.
  Tensor noise(const Tensor& x, const Tensor& denoised, int64_t timestep) const {
    const double a = alpha_bar(timestep), scale = 1 / std::sqrt(1 - a);
    return sum({{scale, x}, {-std::sqrt(a) * scale, denoised}});
  }
  /// The picture in x, when the noise is `noise`.
  Tensor picture(const Tensor& x, const Tensor& noise, int64_t timestep) const {
    const double a = alpha_bar(timestep), scale = 1 / std::sqrt(a);
    return sum({{scale, x}, {-std::sqrt(1 - a) * scale, noise}});
  }

 private:
  SamplerRun& run_;
};

/// SD WebUI's timesteps: whole strides through the table, raised by one; for many step counts a few
/// more than asked.
std::vector<int64_t> webui_timesteps(SamplerRun& run) {
  const int64_t size = run.schedule().size();
  std::vector<int64_t> timesteps;
  for (int64_t t = 0; t < size; t += std::max<int64_t>(size / run.requested_steps(), 1)) {
    timesteps.push_back(std::min(t + 1, size - 1));
  }
  return timesteps;
}

/// Where a step from timesteps[index] goes to, in alpha-bar.
double alpha_before(const TimestepModel& model, const std::vector<int64_t>& timesteps,
                    int64_t index) {
  return model.alpha_bar(index == 0 ? 0 : timesteps[static_cast<size_t>(index - 1)]);
}

/// Steps that SD WebUI makes: one fewer than there are timesteps. A single timestep makes one, so
/// that one step draws.
int64_t webui_steps(const std::vector<int64_t>& timesteps) {
  return std::max<int64_t>(static_cast<int64_t>(timesteps.size()) - 1, 1);
}

}  // namespace

namespace {

/// DDIM; with CFG++ the noise that goes on is that of the unconditional picture, and the guidance
/// scale means a 12.5th of itself.
Result<Tensor> ddim(SamplerRun& run, bool cfg_pp) {
  constexpr double kShare = 1 / 12.5;
  TimestepModel model(run);
  const std::vector<int64_t> timesteps = webui_timesteps(run);
  const int64_t steps = webui_steps(timesteps);
  Tensor x = run.first_noise();
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t index = static_cast<int64_t>(timesteps.size()) - 1 - i,
                  t = timesteps[static_cast<size_t>(index)];
    const double a = model.alpha_bar(t), a_before = alpha_before(model, timesteps, index);
    Result<Tensor> denoised = model.denoised(x, t);
    if (!denoised) return denoised;
    const Tensor& base = cfg_pp ? run.unguided(*denoised) : *denoised;
    if (cfg_pp) denoised = sum({{kShare, *denoised}, {1 - kShare, base}});
    if (Status go = run.report(i, steps, model.sigma(t), x, *denoised); !go) return go.error();
    const double deviation = run.eta() * std::sqrt((1 - a_before) / (1 - a) * (1 - a / a_before));
    const double direction = std::sqrt(std::max(0.0, 1 - a_before - deviation * deviation));
    x = sum({{std::sqrt(a_before), *denoised}, {direction, model.noise(x, base, t)}});
    if (deviation > 0) x = sum({{1, x}, {deviation, run.next_noise()}});
  }
  return x;
}

}  // namespace

Result<Tensor> sample_ddim(SamplerRun& run) { return ddim(run, false); }
Result<Tensor> sample_ddim_cfg_pp(SamplerRun& run) { return ddim(run, true); }

Result<Tensor> sample_plms(SamplerRun& run) {
  TimestepModel model(run);
  const std::vector<int64_t> timesteps = webui_timesteps(run);
  const int64_t steps = webui_steps(timesteps);
  Tensor x = run.first_noise();
  std::deque<Tensor> old;  // noises of earlier steps, newest first
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t index = static_cast<int64_t>(timesteps.size()) - 1 - i,
                  t = timesteps[static_cast<size_t>(index)];
    const double a_before = alpha_before(model, timesteps, index);
    const auto move = [&](const Tensor& noise) {
      return sum(
          {{std::sqrt(a_before), model.picture(x, noise, t)}, {std::sqrt(1 - a_before), noise}});
    };
    const Result<Tensor> denoised = run.reported(i, steps, model.sigma(t), x, model.denoised(x, t));
    if (!denoised) return denoised;
    const Tensor noise = model.noise(x, *denoised, t);
    Tensor direction;
    if (old.empty()) {  // pseudo improved Euler
      const Tensor ahead = move(noise);
      const int64_t t_next = timesteps[static_cast<size_t>(std::max<int64_t>(index - 1, 0))];
      const Result<Tensor> next = model.denoised(ahead, t_next);
      if (!next) return next;
      direction = sum({{0.5, noise}, {0.5, model.noise(ahead, *next, t_next)}});
    } else if (old.size() == 1) {  // Adams-Bashforth from here
      direction = sum({{1.5, noise}, {-0.5, old[0]}});
    } else if (old.size() == 2) {
      direction = sum({{23.0 / 12, noise}, {-16.0 / 12, old[0]}, {5.0 / 12, old[1]}});
    } else {
      direction =
          sum({{55.0 / 24, noise}, {-59.0 / 24, old[0]}, {37.0 / 24, old[1]}, {-9.0 / 24, old[2]}});
    }
    x = move(direction);
    old.push_front(noise);
    if (old.size() > 3) old.pop_back();
  }
  return x;
}

Result<Tensor> sample_ddpm(SamplerRun& run) {
  TimestepModel model(run);
  const int64_t size = run.schedule().size(), steps = std::min(run.requested_steps(), size),
                stride = size / steps;
  Tensor x = run.first_noise();
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = std::min((steps - 1 - i) * stride + 1, size - 1), before = t - stride;
    const double a = model.alpha_bar(t), a_before = before >= 0 ? model.alpha_bar(before) : 1;
    const double ratio = a / a_before;
    const Result<Tensor> denoised = run.reported(i, steps, model.sigma(t), x, model.denoised(x, t));
    if (!denoised) return denoised;
    x = sum({{std::sqrt(a_before) * (1 - ratio) / (1 - a), *denoised},
             {std::sqrt(ratio) * (1 - a_before) / (1 - a), x}});
    const double variance = std::max(1e-20, (1 - a_before) / (1 - a) * (1 - ratio));
    if (t > 0) x = sum({{1, x}, {std::sqrt(variance), run.next_noise()}});
  }
  return x;
}

Result<Tensor> sample_tcd(SamplerRun& run) {
  constexpr int64_t kDistilled = 50;
  TimestepModel model(run);
  const int64_t size = run.schedule().size(), levels = std::min(kDistilled, size),
                steps = std::min(run.requested_steps(), levels);
  const auto timestep = [&](int64_t i) {  // 0 behind the last
    return i < steps ? (levels - i * levels / steps) * (size / levels) - 1 : 0;
  };
  const double gamma = std::min(run.eta(), 1.0);
  Tensor x = run.first_noise();
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = timestep(i), next = timestep(i + 1);
    const auto below = static_cast<int64_t>((1 - gamma) * static_cast<double>(next));
    const double a_below = model.alpha_bar(below), kept = model.alpha_bar(next) / a_below;
    const Result<Tensor> denoised = run.reported(i, steps, model.sigma(t), x, model.denoised(x, t));
    if (!denoised) return denoised;
    x = sum(
        {{std::sqrt(a_below), *denoised}, {std::sqrt(1 - a_below), model.noise(x, *denoised, t)}});
    if (gamma > 0 && i + 1 < steps)
      x = sum({{std::sqrt(kept), x}, {std::sqrt(1 - kept), run.next_noise()}});
  }
  return x;
}

}  // namespace safelight::diffusion
