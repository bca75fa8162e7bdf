// The matrix products of Winograd's convolution, once per Highway target: included by files that
// use foreach_target.h.
#if defined(SAFELIGHT_WINOGRAD_PRODUCT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_WINOGRAD_PRODUCT_INL
#undef SAFELIGHT_WINOGRAD_PRODUCT_INL
#else
#define SAFELIGHT_WINOGRAD_PRODUCT_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/cpu/kernels/winograd_plan.h"
#include "engine/cpu/kernels/winograd_transforms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

constexpr int64_t kRegisterPanel = 2 * kLanes;
/// Rows of a register tile of two vectors: sums, two vectors of weights and one factor fill the
/// registers (32 of AVX-512, else 16).
constexpr int kRegisterRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;

/// c[kRows][register panel] = (c +) a b: a in blocks of kWinogradDepth columns, `a_block` apart; b
/// dense [depth][register panel]; rows of c are a panel apart.
template <int kRows>
HWY_NOINLINE void MultiplyRows(const float* a, int64_t a_block, const float* b, int64_t depth,
                               float* c, bool add) {
  const D d;
  V sums[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    sums[r][0] = add ? hn::Load(d, c + r * kWinogradPanel) : hn::Zero(d);
    sums[r][1] = add ? hn::Load(d, c + r * kWinogradPanel + kLanes) : hn::Zero(d);
  }
  for (; depth > 0; depth -= kWinogradDepth, a += a_block) {
    const float* const end = a + std::min(depth, kWinogradDepth);
    for (const float* left = a; left < end; ++left, b += kRegisterPanel) {
      const V right0 = hn::Load(d, b), right1 = hn::Load(d, b + kLanes);
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const V factor = hn::Set(d, left[r * kWinogradDepth]);
        sums[r][0] = hn::MulAdd(factor, right0, sums[r][0]);
        sums[r][1] = hn::MulAdd(factor, right1, sums[r][1]);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    hn::Store(sums[r][0], d, c + r * kWinogradPanel);
    hn::Store(sums[r][1], d, c + r * kWinogradPanel + kLanes);
  }
}

using RowsKernel = void (*)(const float*, int64_t, const float*, int64_t, float*, bool);

template <int... kRows>
constexpr std::array<RowsKernel, sizeof...(kRows)> RowsKernels(
    std::integer_sequence<int, kRows...>) {
  return {MultiplyRows<kRows + 1>...};
}

/// M (+)= V U of one point for `rows` tiles, a panel wide.
inline void MultiplyPoint(const float* v, int64_t v_block, int64_t rows, const float* u,
                          int64_t panel_depth, int64_t depth, float* m, bool add) {
  static constexpr auto kKernels = RowsKernels(std::make_integer_sequence<int, kRegisterRows>());
  const int64_t pieces = (rows + kRegisterRows - 1) / kRegisterRows;
  for (int64_t column = 0; column < kWinogradPanel; column += kRegisterPanel) {
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t first = rows * piece / pieces, end = rows * (piece + 1) / pieces;
      kKernels[static_cast<size_t>(end - first - 1)](v + first * kWinogradDepth, v_block,
                                                     u + column * panel_depth, depth,
                                                     m + first * kWinogradPanel + column, add);
    }
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
