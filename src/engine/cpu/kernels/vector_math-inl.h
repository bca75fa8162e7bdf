// Vector functions for the kernels, once per Highway target: included by files that use
// foreach_target.h.
#if defined(SAFELIGHT_VECTOR_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_VECTOR_MATH_INL
#undef SAFELIGHT_VECTOR_MATH_INL
#else
#define SAFELIGHT_VECTOR_MATH_INL
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Max(a, b) and Min(a, b) give b where either is NaN, on every target: a limit stands first, so
// that NaN passes.

/// coefficients[0] + coefficients[1] x + ...; even and odd powers apart, which halves the chain of
/// dependent operations.
template <size_t kTerms>
HWY_INLINE V Polynomial(D d, V x, const float (&coefficients)[kTerms]) {
  const V square = hn::Mul(x, x);
  V sums[2] = {hn::Set(d, coefficients[kTerms - 1]), hn::Set(d, coefficients[kTerms - 2])};
#pragma GCC unroll 16
  for (size_t i = 2; i < kTerms; ++i) {
    sums[i % 2] = hn::MulAdd(sums[i % 2], square, hn::Set(d, coefficients[kTerms - 1 - i]));
  }
  return hn::MulAdd(sums[kTerms % 2], x, sums[(kTerms - 1) % 2]);
}

constexpr float kRounder =
    12582912.0F;  // 1.5 * 2^23: adding it to |x| < 2^22 rounds to a whole number

/// 2^(n + f) from n + kRounder with n in [-127, 0], and f in [-1/2, 1/2]; 2^-127 gives 0. The
/// polynomial is the minimax one (relative error 2.6e-9).
HWY_INLINE V Exp2OfParts(D d, V rounder_plus_n, V f) {
  static constexpr float kExp2[] = {1.0F,         6.9314721e-1F, 2.4022652e-1F, 5.5503106e-2F,
                                    9.617693e-3F, 1.3406644e-3F, 1.5594678e-4F};
  const hn::RebindToSigned<D> di;
  const auto exponent =
      hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, rounder_plus_n)), hn::Set(di, 127 << 23));
  return hn::Mul(Polynomial(d, f, kExp2), hn::BitCast(d, exponent));
}

/// 2^x for x <= 0, within an ulp or two; exactly 0 below the normal numbers. NaN stays NaN.
HWY_INLINE V Exp2OfNonPositive(D d, V x) {
  const V rounder = hn::Set(d, kRounder);
  x = hn::Max(hn::Set(d, -127.0F), x);
  const V shifted = hn::Add(x, rounder);
  return Exp2OfParts(d, shifted, hn::Sub(x, hn::Sub(shifted, rounder)));
}

/// e^x for x <= 0, within an ulp or two; exactly 0 below the normal numbers. NaN stays NaN.
HWY_INLINE V ExpOfNonPositive(D d, V x) {
  // 1 / ln 2 in two parts: the product must be known beyond its float32 digits.
  const V high = hn::Set(d, 1.44269504F), low = hn::Set(d, 1.9259630e-8F);
  const V rounder = hn::Set(d, kRounder);
  x = hn::Max(hn::Set(d, -88.0F), x);
  const V shifted = hn::MulAdd(x, high, rounder);
  const V f = hn::MulSub(x, high, hn::Sub(shifted, rounder));
  return Exp2OfParts(d, shifted, hn::MulAdd(x, low, f));
}

/// e^x for any x.
HWY_INLINE V Exp(D d, V x) {
  const V limited = hn::Min(hn::Set(d, 89.0F), x);  // e^89 is infinite in float32
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, limited));
}

HWY_INLINE V Tanh(D d, V x) { return hn::IfThenElse(hn::IsNaN(x), x, hn::Tanh(d, x)); }

/// Highway's sine or cosine where its reduction is good, the C library's for larger arguments and
/// NaN.
template <class Vectors, class Scalars>
HWY_INLINE V Periodic(D d, V x, Vectors vectors, Scalars scalars) {
  if (HWY_LIKELY(hn::AllTrue(d, hn::Le(hn::Abs(x), hn::Set(d, 39000.0F))))) return vectors(x);
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  hn::Store(x, d, lanes);
  for (float& lane : lanes) lane = scalars(lane);
  return hn::Load(d, lanes);
}

HWY_INLINE V Sin(D d, V x) {
  return Periodic(
      d, x, [d](V v) { return hn::Sin(d, v); }, [](float v) { return std::sin(v); });
}

HWY_INLINE V Cos(D d, V x) {
  return Periodic(
      d, x, [d](V v) { return hn::Cos(d, v); }, [](float v) { return std::cos(v); });
}

/// 1 / (1 + exp(-x))
HWY_INLINE V Sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  const V power = ExpOfNonPositive(d, hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), power, one), hn::Add(one, power));
}

/// erfc(z) for z >= 0 with a relative error below 1.2e-7 beside that of rounding: Press et al.,
/// Numerical Recipes, 2nd ed., section 6.2.
HWY_INLINE V ErfcOfPositive(D d, V z) {
  static constexpr float kErfc[] = {-1.26551223F, 1.00002368F, 0.37409196F,  0.09678418F,
                                    -0.18628806F, 0.27886807F, -1.13520398F, 1.48851587F,
                                    -0.82215223F, 0.17087277F};
  const V t = hn::Div(hn::Set(d, 1.0F), hn::MulAdd(z, hn::Set(d, 0.5F), hn::Set(d, 1.0F)));
  return hn::Mul(t, ExpOfNonPositive(d, hn::NegMulAdd(z, z, Polynomial(d, t, kErfc))));
}

/// x * Phi(x) = x / 2 * erfc(-x / sqrt 2)
HWY_INLINE V Gelu(D d, V x) {
  const V tail = ErfcOfPositive(d, hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678118654752F)));
  const V erfc = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(hn::Set(d, 2.0F), tail));
  return hn::Mul(hn::Mul(x, hn::Set(d, 0.5F)), erfc);
}

/// sqrt(2 / pi) (x + 0.044715 x^3) through tanh, written by the sigmoid: 1 + tanh(u) = 2 sigmoid(2
/// u).
HWY_INLINE V GeluTanh(D d, V x) {
  const V cubic = hn::MulAdd(hn::Mul(hn::Mul(x, x), x), hn::Set(d, 0.044715F), x);
  return hn::Mul(x, Sigmoid(d, hn::Mul(cubic, hn::Set(d, 1.5957691216057308F))));
}

/// bf16 to float32.
HWY_INLINE V ToF32(D d, hn::Vec<hn::Rebind<uint16_t, D>> half) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, half)));
}

/// To nearest even; NaN stays NaN.
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, D>> ToBF16(V value) {
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint16_t, D> dh;
  const auto bits = hn::BitCast(du, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(hn::Set(du, 0x7FFF), odd)));
  const auto quiet = hn::Set(du, 0x7FC0);
  const auto kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(value)), quiet, rounded);
  return hn::DemoteTo(dh, hn::BitCast(di, kept));
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
