#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace safelight::engine::cpu {

/// Runs body(begin, end) over [0, count) cut into one contiguous range a thread of OpenMP's team
/// (the engine's one pool). Ranges smaller than `grain` are not cut, so that small work stays on
/// the calling thread.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  const int64_t pieces =
      std::min<int64_t>(omp_get_max_threads(), (count + grain - 1) / std::max<int64_t>(grain, 1));
  if (pieces <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  // The whole team even for fewer pieces: libgomp ends and starts threads where its size changes,
  // which takes longer than the work.
#pragma omp parallel for schedule(static, 1)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    body(count * piece / pieces, count * (piece + 1) / pieces);
  }
}

}  // namespace safelight::engine::cpu
