#pragma once

#include <cstdint>

namespace safelight::diffusion {

/// When the negative prompt is left out, as SD WebUI's options of these names have it.
struct NegativeSkips {
  double skip_early_cond = 0;     ///< up to this fraction of the evaluations; 0 is off
  double s_min_uncond = 0;        ///< in every other evaluation below this sigma; 0 is off
  bool s_min_uncond_all = false;  ///< in every evaluation below that sigma
};

/// Whether the network sees the prompt alone in evaluation `call` (from 0) of about `calls` (SD
/// WebUI's CFGDenoiser.forward).
bool skips_negative(const NegativeSkips& skips, int64_t call, int64_t calls, double sigma);

}  // namespace safelight::diffusion
