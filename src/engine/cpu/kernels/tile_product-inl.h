// Products of small matrices held in registers, once per Highway target: included by files that use
// foreach_target.h.
#if defined(SAFELIGHT_TILE_PRODUCT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_TILE_PRODUCT_INL
#undef SAFELIGHT_TILE_PRODUCT_INL
#else
#define SAFELIGHT_TILE_PRODUCT_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "engine/cpu/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

/// Rows of the left operand are handled in groups of this many, a multiple of the rows of every
/// register tile.
constexpr int64_t kTileRows = 24;

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
#pragma GCC unroll 24
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * c_stride + v * kLanes;
      hn::Store(add ? hn::Add(hn::Load(d, to), sums[r][v]) : sums[r][v], d, to);
    }
  }
}

/// Calls body(first vector, width in vectors) for the panels in which a right operand `vectors`
/// wide is packed: pairs, after one of three vectors where the number is odd.
template <class Body>
HWY_INLINE void ForEachPanel(int64_t vectors, Body body) {
  for (int64_t first = 0; first < vectors;) {
    const int64_t left = vectors - first;
    const int64_t width = left == 1 ? 1 : 2 + left % 2;
    body(first, width);
    first += width;
  }
}

/// One panel of the product below.
template <class Left, int kVectors>
HWY_INLINE void MultiplyPanel(int64_t rows, const float* a, const float* panel, int64_t depth,
                              float* c, int64_t c_stride, bool add) {
  for (int64_t r = 0; r < rows; r += register_rows(kVectors)) {
    MultiplyTile<Left, kVectors>(a + r * Left::kRow, panel, depth, c + r * c_stride, c_stride, add);
  }
}

/// c[rows][vectors] = (c +) a * b. `rows` is rounded up to whole register tiles, in all operands. b
/// is packed in panels (ForEachPanel), each a dense [panel_depth][width] of which `depth` rows
/// count; b and the rows of c are aligned to vectors.
template <class Left>
HWY_INLINE void Multiply(int64_t rows, int64_t vectors, int64_t depth, const float* a,
                         const float* b, int64_t panel_depth, float* c, int64_t c_stride,
                         bool add) {
  constexpr int64_t kLanes = hn::MaxLanes(D());
  ForEachPanel(vectors, [&](int64_t first, int64_t width) {
    const float* panel = b + first * kLanes * panel_depth;
    float* to = c + first * kLanes;
    if (width == 3) return MultiplyPanel<Left, 3>(rows, a, panel, depth, to, c_stride, add);
    if (width == 2) return MultiplyPanel<Left, 2>(rows, a, panel, depth, to, c_stride, add);
    MultiplyPanel<Left, 1>(rows, a, panel, depth, to, c_stride, add);
  });
}

/// out[i * out_stride + j] = rows[j][i] * factor for four rows and `depth` values of i.
HWY_INLINE void TransposeFour(const float* const rows[4], int64_t depth, float factor, float* out,
                              int64_t out_stride) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> d4;
  const auto f = hn::Set(d4, factor);
  for (; i + 4 <= depth; i += 4) {
    const auto r0 = hn::LoadU(d4, rows[0] + i), r1 = hn::LoadU(d4, rows[1] + i),
               r2 = hn::LoadU(d4, rows[2] + i), r3 = hn::LoadU(d4, rows[3] + i);
    const auto low02 = hn::InterleaveLower(d4, r0, r2), high02 = hn::InterleaveUpper(d4, r0, r2);
    const auto low13 = hn::InterleaveLower(d4, r1, r3), high13 = hn::InterleaveUpper(d4, r1, r3);
    float* to = out + i * out_stride;
    hn::Store(hn::Mul(hn::InterleaveLower(d4, low02, low13), f), d4, to);
    hn::Store(hn::Mul(hn::InterleaveUpper(d4, low02, low13), f), d4, to + out_stride);
    hn::Store(hn::Mul(hn::InterleaveLower(d4, high02, high13), f), d4, to + 2 * out_stride);
    hn::Store(hn::Mul(hn::InterleaveUpper(d4, high02, high13), f), d4, to + 3 * out_stride);
  }
#endif
  for (; i < depth; ++i) {
    for (int j = 0; j < 4; ++j) out[i * out_stride + j] = rows[j][i] * factor;
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
