// The transformations of Winograd's F(4x4, 3x3), once per Highway target: included by files that
// use foreach_target.h.
#if defined(SAFELIGHT_WINOGRAD_TRANSFORMS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_WINOGRAD_TRANSFORMS_INL
#undef SAFELIGHT_WINOGRAD_TRANSFORMS_INL
#else
#define SAFELIGHT_WINOGRAD_TRANSFORMS_INL
#endif

#include <hwy/highway.h>

#include "engine/cpu/kernels/vector_math-inl.h"
#include "engine/cpu/kernels/winograd_plan.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

constexpr int64_t kLanes = hn::MaxLanes(D());

// Polynomials are evaluated at 0, +-a, +-b and infinity. The factors 1 / N of each point stand in
// the transformation of results, where they cost nothing; float32 does not mind scale.
constexpr float kA = 0.70710678F, kB = 1.41421356F;
constexpr float kA2 = 0.5F, kB2 = 2.0F;
constexpr float kNa = 1 / (2 * kA2 * (kA2 - kB2)), kNb = 1 / (2 * kB2 * (kB2 - kA2));

/// B^T d: six values of the input.
HWY_INLINE void InputLine(const V (&d)[6], V (&out)[6]) {
  const D f;
  const V even_a = hn::NegMulAdd(hn::Set(f, kB2), d[2], d[4]);
  const V odd_a = hn::NegMulAdd(hn::Set(f, kB2), d[1], d[3]);
  const V even_b = hn::NegMulAdd(hn::Set(f, kA2), d[2], d[4]);
  const V odd_b = hn::NegMulAdd(hn::Set(f, kA2), d[1], d[3]);
  const V sum = hn::Set(f, kA2 + kB2);
  // a^2 b^2 = 1
  out[0] = hn::NegMulAdd(sum, d[2], hn::Add(d[0], d[4]));
  out[1] = hn::MulAdd(hn::Set(f, kA), odd_a, even_a);
  out[2] = hn::NegMulAdd(hn::Set(f, kA), odd_a, even_a);
  out[3] = hn::MulAdd(hn::Set(f, kB), odd_b, even_b);
  out[4] = hn::NegMulAdd(hn::Set(f, kB), odd_b, even_b);
  out[5] = hn::NegMulAdd(sum, d[3], hn::Add(d[1], d[5]));
}

/// G g without the factors 1 / N: three values of a filter.
HWY_INLINE void WeightLine(const V (&g)[3], V (&out)[6]) {
  const D f;
  const V even_a = hn::MulAdd(hn::Set(f, kA2), g[2], g[0]);
  const V even_b = hn::MulAdd(hn::Set(f, kB2), g[2], g[0]);
  out[0] = g[0];
  out[1] = hn::MulAdd(hn::Set(f, kA), g[1], even_a);
  out[2] = hn::NegMulAdd(hn::Set(f, kA), g[1], even_a);
  out[3] = hn::MulAdd(hn::Set(f, kB), g[1], even_b);
  out[4] = hn::NegMulAdd(hn::Set(f, kB), g[1], even_b);
  out[5] = g[2];
}

/// A^T m with the factors 1 / N: six products to four results.
HWY_INLINE void OutputLine(const V (&m)[6], V (&out)[4]) {
  const D f;
  const V sum_a = hn::Add(m[1], m[2]), difference_a = hn::Sub(m[1], m[2]);
  const V sum_b = hn::Add(m[3], m[4]), difference_b = hn::Sub(m[3], m[4]);
  out[0] = hn::MulAdd(hn::Set(f, kNa), sum_a, hn::MulAdd(hn::Set(f, kNb), sum_b, m[0]));
  out[1] =
      hn::MulAdd(hn::Set(f, kNa * kA), difference_a, hn::Mul(hn::Set(f, kNb * kB), difference_b));
  out[2] = hn::MulAdd(hn::Set(f, kNa * kA2), sum_a, hn::Mul(hn::Set(f, kNb * kB2), sum_b));
  out[3] = hn::MulAdd(hn::Set(f, kNa * kA * kA2), difference_a,
                      hn::MulAdd(hn::Set(f, kNb * kB * kB2), difference_b, m[5]));
}

/// B^T d B of one vector of channels: load(y * 6 + x) gives the pixels, store(point, v) takes the
/// results.
template <class Load, class Store>
HWY_INLINE void TransformInput(Load load, Store store) {
  V half[6][6];  // [x][transformed y]
#pragma GCC unroll 6
  for (int x = 0; x < 6; ++x) {
    V column[6];
#pragma GCC unroll 6
    for (int y = 0; y < 6; ++y) column[y] = load(y * 6 + x);
    InputLine(column, half[x]);
  }
#pragma GCC unroll 6
  for (int y = 0; y < 6; ++y) {
    const V row[6] = {half[0][y], half[1][y], half[2][y], half[3][y], half[4][y], half[5][y]};
    V out[6];
    InputLine(row, out);
#pragma GCC unroll 6
    for (int x = 0; x < 6; ++x) store(y * 6 + x, out[x]);
  }
}

/// G g G^T of one vector of filters: load(y * 3 + x), store(point, v).
template <class Load, class Store>
HWY_INLINE void TransformFilter(Load load, Store store) {
  V half[3][6];  // [x][transformed y]
#pragma GCC unroll 3
  for (int x = 0; x < 3; ++x) {
    const V column[3] = {load(x), load(3 + x), load(6 + x)};
    WeightLine(column, half[x]);
  }
#pragma GCC unroll 6
  for (int y = 0; y < 6; ++y) {
    const V row[3] = {half[0][y], half[1][y], half[2][y]};
    V out[6];
    WeightLine(row, out);
#pragma GCC unroll 6
    for (int x = 0; x < 6; ++x) store(y * 6 + x, out[x]);
  }
}

/// A^T m A of one vector of channels: load(point), store(y * 4 + x, v).
template <class Load, class Store>
HWY_INLINE void TransformOutput(Load load, Store store) {
  V half[6][4];  // [x][result y]
#pragma GCC unroll 6
  for (int x = 0; x < 6; ++x) {
    const V column[6] = {load(x),      load(6 + x),  load(12 + x),
                         load(18 + x), load(24 + x), load(30 + x)};
    OutputLine(column, half[x]);
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y) {
    const V row[6] = {half[0][y], half[1][y], half[2][y], half[3][y], half[4][y], half[5][y]};
    V out[4];
    OutputLine(row, out);
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) store(y * 4 + x, out[x]);
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
