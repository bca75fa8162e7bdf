#include "diffusion/guidance/negative_skips.h"

namespace safelight::diffusion {

bool skips_negative(const NegativeSkips& skips, int64_t call, int64_t calls, double sigma) {
  const double at = static_cast<double>(call) / static_cast<double>(calls);
  if (skips.skip_early_cond > 0 && at <= skips.skip_early_cond) return true;
  const bool asked = skips.s_min_uncond_all || call % 2 == 1;
  return asked && skips.s_min_uncond > 0 && sigma < skips.s_min_uncond;
}

}  // namespace safelight::diffusion
