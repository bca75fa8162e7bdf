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

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

/// 2^x for x <= 0, within an ulp; exactly 0 below the normal numbers. NaN stays NaN. The polynomial
/// is the minimax one for 2^f on [-1/2, 1/2] (relative error 2.6e-9).
HWY_INLINE V Exp2OfNonPositive(D d, V x) {
  const hn::RebindToSigned<D> di;
  x = hn::Max(hn::Set(d, -127.0F), x);
  const V magic = hn::Set(d, 12582912.0F);  // 1.5 * 2^23: adding it rounds to a whole number
  const V shifted = hn::Add(x, magic);
  const V f = hn::Sub(x, hn::Sub(shifted, magic));
  V p = hn::Set(d, 1.5594678e-4F);
  for (const float c :
       {1.3406644e-3F, 9.617693e-3F, 5.5503106e-2F, 2.4022652e-1F, 6.9314721e-1F, 1.0F}) {
    p = hn::MulAdd(p, f, hn::Set(d, c));
  }
  const auto exponent =
      hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, shifted)), hn::Set(di, 127 << 23));
  return hn::Mul(p, hn::BitCast(d, exponent));
}

/// 1 / (1 + exp(-x)); the argument is limited where the result no longer changes x * sigmoid(x) in
/// float32.
HWY_INLINE V Sigmoid(D d, V x) {
  const V limited = hn::Min(hn::Max(x, hn::Set(d, -87.0F)), hn::Set(d, 87.0F));
  const V one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(limited))));
}

/// erfc(z) for z >= 0 with a relative error below 1.2e-7: Press et al., Numerical Recipes, 2nd ed.,
/// section 6.2.
HWY_INLINE V ErfcOfPositive(D d, V z) {
  const V t = hn::Div(hn::Set(d, 1.0F), hn::MulAdd(z, hn::Set(d, 0.5F), hn::Set(d, 1.0F)));
  V p = hn::Set(d, 0.17087277F);
  for (const float c : {-0.82215223F, 1.48851587F, -1.13520398F, 0.27886807F, -0.18628806F,
                        0.09678418F, 0.37409196F, 1.00002368F, -1.26551223F}) {
    p = hn::MulAdd(p, t, hn::Set(d, c));
  }
  const V exponent = hn::Max(hn::NegMulAdd(z, z, p), hn::Set(d, -87.0F));
  return hn::Mul(t, hn::Exp(d, exponent));
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

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
