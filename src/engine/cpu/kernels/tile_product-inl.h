// Products of small matrices held in registers, once per Highway target: included by files that use
// foreach_target.h.
#if defined(SAFELIGHT_TILE_PRODUCT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_TILE_PRODUCT_INL
#undef SAFELIGHT_TILE_PRODUCT_INL
#else
#define SAFELIGHT_TILE_PRODUCT_INL
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "engine/cpu/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

/// Rows of a register tile that is so many vectors wide: sums, a row of the right operand and one
/// factor fill the registers (32 of AVX-512, else 16), and there are enough sums to hide the
/// latency of an addition.
constexpr int register_rows(int vectors) {
  if (vectors == 1) return 12;
  return HWY_TARGET <= HWY_AVX3 ? 24 / vectors : 12 / vectors;
}

/// Where the element (row, i) of a left operand stands: row * kRow + i * kDepth.
template <int kRowStep, int kDepthStep>
struct LeftLayout {
  static constexpr int kRow = kRowStep, kDepth = kDepthStep;
};

/// sums[kRows][kVectors] += a * b, with b [depth][kVectors] dense.
template <class Left, int kVectors, int kRows>
HWY_INLINE void AccumulateTile(const float* a, const float* b, int64_t depth,
                               V (&sums)[kRows][kVectors]) {
  const D d;
  constexpr int64_t kLanes = hn::MaxLanes(D());
  for (int64_t i = 0; i < depth; ++i) {
    V right[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) right[v] = hn::Load(d, b + v * kLanes);
#pragma GCC unroll 24
    for (int r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, a[r * Left::kRow]);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(left, right[v], sums[r][v]);
    }
    a += Left::kDepth;
    b += kVectors * kLanes;
  }
}

/// c[kRows][kVectors] = (c +) a * b, with b [depth][kVectors] dense.
template <class Left, int kVectors, int kRows = register_rows(kVectors)>
HWY_INLINE void MultiplyTile(const float* a, const float* b, int64_t depth, float* c,
                             int64_t c_stride, bool add) {
  const D d;
  constexpr int64_t kLanes = hn::MaxLanes(D());
  V sums[kRows][kVectors];
#pragma GCC unroll 24
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  AccumulateTile<Left>(a, b, depth, sums);
#pragma GCC unroll 24
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * c_stride + v * kLanes;
      hn::Store(add ? hn::Add(hn::Load(d, to), sums[r][v]) : sums[r][v], d, to);
    }
  }
}

/// out[i * out_stride + j] = rows[j][i] for four rows and `depth` values of i.
HWY_INLINE void TransposeFour(const float* const rows[4], int64_t depth, float* out,
                              int64_t out_stride) {
  int64_t whole = 0;
#if HWY_TARGET != HWY_SCALAR
  whole = depth / 4 * 4;
  const hn::FixedTag<float, 4> d4;
  for (int64_t i = 0; i < whole; i += 4) {
    const auto r0 = hn::LoadU(d4, rows[0] + i), r1 = hn::LoadU(d4, rows[1] + i),
               r2 = hn::LoadU(d4, rows[2] + i), r3 = hn::LoadU(d4, rows[3] + i);
    const auto low02 = hn::InterleaveLower(d4, r0, r2), high02 = hn::InterleaveUpper(d4, r0, r2);
    const auto low13 = hn::InterleaveLower(d4, r1, r3), high13 = hn::InterleaveUpper(d4, r1, r3);
    float* to = out + i * out_stride;
    hn::StoreU(hn::InterleaveLower(d4, low02, low13), d4, to);
    hn::StoreU(hn::InterleaveUpper(d4, low02, low13), d4, to + out_stride);
    hn::StoreU(hn::InterleaveLower(d4, high02, high13), d4, to + 2 * out_stride);
    hn::StoreU(hn::InterleaveUpper(d4, high02, high13), d4, to + 3 * out_stride);
  }
#endif
  for (int64_t i = whole; i < depth; ++i) {
    for (int j = 0; j < 4; ++j) out[i * out_stride + j] = rows[j][i];
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
