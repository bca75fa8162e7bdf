// Restart sampling (Xu et al. 2023, arXiv 2306.14878) as SD WebUI has it: Heun's method, which
// after reaching a low level goes back to a higher one by fresh noise.
#include <algorithm>
#include <cmath>
#include <utility>

#include "diffusion/sampler_run.h"
#include "diffusion/sigma_formulas.h"

namespace safelight::diffusion {
namespace {

using Moves = std::vector<std::pair<float, float>>;

size_t nearest_level(const std::vector<float>& sigmas, double level) {
  const auto nearer = [&](float a, float b) { return std::abs(a - level) < std::abs(b - level); };
  return static_cast<size_t>(std::min_element(sigmas.begin(), sigmas.end(), nearer) -
                             sigmas.begin());
}

void append_moves(Moves& moves, const std::vector<float>& sigmas) {
  for (size_t i = 0; i + 1 < sigmas.size(); ++i) moves.emplace_back(sigmas[i], sigmas[i + 1]);
}

/// The pairs of levels between which the run steps; a level that is above the last one's end is a
/// restart. With fewer than 20 steps there are none.
Moves plan(const std::vector<float>& asked) {
  constexpr double kRestartAt = 0.1, kRestartFrom = 2, kRho = 7;
  constexpr int64_t kFewest = 20, kTwice = 36, kOnceSteps = 9;
  const auto steps = static_cast<int64_t>(asked.size()) - 1;
  Moves moves;
  append_moves(moves, asked);
  if (steps < kFewest) return moves;
  const int64_t times = steps >= kTwice ? 2 : 1, length = times > 1 ? steps / 4 : kOnceSteps;
  const std::vector<float> sigmas =
      karras_sigmas(steps - length * times, {asked[asked.size() - 2], asked.front()}, kRho);
  const size_t low = nearest_level(sigmas, kRestartAt), high = nearest_level(sigmas, kRestartFrom);
  moves.clear();
  append_moves(moves, {sigmas.begin(), sigmas.begin() + static_cast<int64_t>(low) + 1});
  if (low > 0 && high < low) {
    std::vector<float> again = karras_sigmas(length + 1, {sigmas[low], sigmas[high]}, kRho);
    again.pop_back();  // the 0
    for (int64_t i = 0; i < times; ++i) append_moves(moves, again);
  }
  append_moves(moves, {sigmas.begin() + static_cast<int64_t>(low), sigmas.end()});
  return moves;
}

}  // namespace

Result<Tensor> sample_restart(SamplerRun& run) {
  const Moves moves = plan(run.sigmas());
  const auto steps = static_cast<int64_t>(moves.size());
  Tensor x = scaled(run.first_noise(), run.sigmas()[0]);
  double reached = moves.front().first;
  for (int64_t i = 0; i < steps; ++i) {
    const double sigma = moves[static_cast<size_t>(i)].first;
    const double next = moves[static_cast<size_t>(i)].second;
    if (reached < sigma) {
      const double up = run.options().s_noise * std::sqrt(sigma * sigma - reached * reached);
      x = sum({{1, x}, {up, run.next_noise()}});
    }
    const Result<Tensor> denoised = run.reported(i, steps, sigma, x, run.denoise(x, sigma));
    if (!denoised) return denoised;
    const Tensor first = slope(x, *denoised, sigma);
    const Tensor ahead = sum({{1, x}, {next - sigma, first}});
    if (next == 0) {
      x = ahead;
    } else {
      const Result<Tensor> again = run.denoise(ahead, next);
      if (!again) return again;
      x = sum({{1, x},
               {0.5 * (next - sigma), first},
               {0.5 * (next - sigma), slope(ahead, *again, next)}});
    }
    reached = next;
  }
  return x;
}

}  // namespace safelight::diffusion
