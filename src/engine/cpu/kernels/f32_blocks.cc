#include "engine/cpu/kernels/f32_blocks.h"

#include <algorithm>

#include "engine/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/cpu/kernels/f32_blocks.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway demands.
#include "engine/cpu/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

constexpr size_t kMaxLanes = 16;  // of float32 on any x86-64

/// Calls body(offset) for whole vectors, then tail(offset, count) for what is left.
template <class Body, class Tail>
HWY_INLINE void ForEachVector(int64_t n, Body body, Tail tail) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(i);
  if (i < n) tail(i, n - i);
}

/// The first `count` floats; the other lanes repeat a harmless value.
HWY_INLINE V LoadSome(D d, const float* from, int64_t count, float fill = 0) {
  HWY_ALIGN float block[kMaxLanes];
  for (size_t i = 0; i < hn::Lanes(d); ++i)
    block[i] = static_cast<int64_t>(i) < count ? from[i] : fill;
  return hn::Load(d, block);
}

HWY_INLINE void StoreSome(D d, V value, float* to, int64_t count) {
  HWY_ALIGN float block[kMaxLanes];
  hn::Store(value, d, block);
  for (int64_t i = 0; i < count; ++i) to[i] = block[i];
}

/// out[i] = function(x[i])
template <class Function>
HWY_INLINE void Map(const float* x, float* out, int64_t n, Function function) {
  const D d;
  ForEachVector(
      n, [&](int64_t i) { hn::StoreU(function(hn::LoadU(d, x + i)), d, out + i); },
      [&](int64_t i, int64_t rest) {
        StoreSome(d, function(LoadSome(d, x + i, rest)), out + i, rest);
      });
}

void Widen(const uint16_t* from, float* to, int64_t n) {
  const D d;
  const hn::Rebind<uint16_t, D> dh;
  ForEachVector(
      n, [&](int64_t i) { hn::StoreU(ToF32(d, hn::LoadU(dh, from + i)), d, to + i); },
      [&](int64_t i, int64_t rest) {
        for (int64_t j = i; j < i + rest; ++j) {
          const uint32_t bits = static_cast<uint32_t>(from[j]) << 16;
          __builtin_memcpy(to + j, &bits, sizeof bits);
        }
      });
}

void Narrow(const float* from, uint16_t* to, int64_t n) {
  const D d;
  const hn::Rebind<uint16_t, D> dh;
  ForEachVector(
      n, [&](int64_t i) { hn::StoreU(ToBF16(hn::LoadU(d, from + i)), dh, to + i); },
      [&](int64_t i, int64_t rest) {
        HWY_ALIGN uint16_t block[kMaxLanes];
        hn::StoreU(ToBF16(LoadSome(d, from + i, rest)), dh, block);
        for (int64_t j = 0; j < rest; ++j) to[i + j] = block[j];
      });
}

void Apply(const Unary& unary, const float* x, float* out, int64_t n) {
  const D d;
  switch (unary.function) {
    case UnaryFunction::kIdentity:
      return Map(x, out, n, [&](V v) { return v; });
    case UnaryFunction::kSilu:
      return Map(x, out, n, [&](V v) { return hn::Mul(v, Sigmoid(d, v)); });
    case UnaryFunction::kGelu:
      return Map(x, out, n, [&](V v) { return Gelu(d, v); });
    case UnaryFunction::kGeluTanh:
      return Map(x, out, n, [&](V v) { return GeluTanh(d, v); });
    case UnaryFunction::kQuickGelu:
      return Map(x, out, n,
                 [&](V v) { return hn::Mul(v, Sigmoid(d, hn::Mul(v, hn::Set(d, 1.702F)))); });
    case UnaryFunction::kRelu:
      return Map(x, out, n, [&](V v) { return hn::Max(hn::Zero(d), v); });
    case UnaryFunction::kSigmoid:
      return Map(x, out, n, [&](V v) { return Sigmoid(d, v); });
    case UnaryFunction::kTanh:
      return Map(x, out, n, [&](V v) { return Tanh(d, v); });
    case UnaryFunction::kExp:
      return Map(x, out, n, [&](V v) { return Exp(d, v); });
    case UnaryFunction::kSin:
      return Map(x, out, n, [&](V v) { return Sin(d, v); });
    case UnaryFunction::kCos:
      return Map(x, out, n, [&](V v) { return Cos(d, v); });
    case UnaryFunction::kSqrt:
      return Map(x, out, n, [&](V v) { return hn::Sqrt(v); });
    case UnaryFunction::kSquare:
      return Map(x, out, n, [&](V v) { return hn::Mul(v, v); });
    case UnaryFunction::kAbs:
      return Map(x, out, n, [&](V v) { return hn::Abs(v); });
    case UnaryFunction::kAffine:
      return Map(x, out, n,
                 [&](V v) { return hn::MulAdd(v, hn::Set(d, unary.a), hn::Set(d, unary.b)); });
    case UnaryFunction::kClamp:
      return Map(x, out, n, [&](V v) {
        return hn::Min(hn::Set(d, unary.b), hn::Max(hn::Set(d, unary.a), v));
      });
  }
}

template <class Function>
HWY_INLINE void Combine2(const float* a, int a_step, const float* b, int b_step, float* out,
                         int64_t n, Function function) {
  const D d;
  const V fixed_a = hn::Set(d, a[0]), fixed_b = hn::Set(d, b[0]);
  ForEachVector(
      n,
      [&](int64_t i) {
        const V x = a_step ? hn::LoadU(d, a + i) : fixed_a;
        const V y = b_step ? hn::LoadU(d, b + i) : fixed_b;
        hn::StoreU(function(x, y), d, out + i);
      },
      [&](int64_t i, int64_t rest) {
        const V x = a_step ? LoadSome(d, a + i, rest) : fixed_a;
        const V y = b_step ? LoadSome(d, b + i, rest, 1) : fixed_b;
        StoreSome(d, function(x, y), out + i, rest);
      });
}

void Combine(BinaryFunction function, const float* a, int a_step, const float* b, int b_step,
             float* out, int64_t n) {
  switch (function) {
    case BinaryFunction::kAdd:
      return Combine2(a, a_step, b, b_step, out, n, [](V x, V y) { return hn::Add(x, y); });
    case BinaryFunction::kSub:
      return Combine2(a, a_step, b, b_step, out, n, [](V x, V y) { return hn::Sub(x, y); });
    case BinaryFunction::kMul:
      return Combine2(a, a_step, b, b_step, out, n, [](V x, V y) { return hn::Mul(x, y); });
    case BinaryFunction::kDiv:
      return Combine2(a, a_step, b, b_step, out, n, [](V x, V y) { return hn::Div(x, y); });
    case BinaryFunction::kMaximum:
      return Combine2(a, a_step, b, b_step, out, n,
                      [](V x, V y) { return hn::IfThenElse(hn::IsNaN(x), x, hn::Max(x, y)); });
  }
}

void Gate(const float* x, const float* gates, float* out, int64_t n) {
  const D d;
  Combine2(x, 1, gates, 1, out, n, [&](V v, V g) { return hn::Mul(v, Gelu(d, g)); });
}

/// Sums function(x[i]) in float32 vectors over blocks, and the blocks in double.
template <class Function>
HWY_INLINE double Reduce(const float* x, int64_t n, Function function) {
  const D d;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    V sums = hn::Zero(d);
    ForEachVector(
        std::min(kBlock, n - begin),
        [&](int64_t i) { sums = hn::Add(sums, function(hn::LoadU(d, x + begin + i))); },
        [&](int64_t i, int64_t rest) {
          for (int64_t j = 0; j < rest; ++j) {
            total += hn::GetLane(function(hn::Set(d, x[begin + i + j])));
          }
        });
    total += hn::GetLane(hn::SumOfLanes(d, sums));
  }
  return total;
}

double Sum(const float* x, int64_t n) {
  return Reduce(x, n, [](V v) { return v; });
}

double SumOfSquares(const float* x, float mean, int64_t n) {
  const V m = hn::Set(D(), mean);
  return Reduce(x, n, [&](V v) {
    const V difference = hn::Sub(v, m);
    return hn::Mul(difference, difference);
  });
}

float Maximum(const float* x, int64_t n) {
  const D d;
  V top = hn::Set(d, x[0]);
  ForEachVector(
      n, [&](int64_t i) { top = hn::Max(top, hn::LoadU(d, x + i)); },
      [&](int64_t i, int64_t rest) { top = hn::Max(top, LoadSome(d, x + i, rest, x[0])); });
  return hn::GetLane(hn::MaxOfLanes(d, top));
}

double ExpMinus(const float* x, float top, float* out, int64_t n) {
  const D d;
  const V shift = hn::Set(d, top);
  Map(x, out, n, [&](V v) { return ExpOfNonPositive(d, hn::Sub(v, shift)); });
  return Sum(out, n);
}

void Normalise(const float* x, float mean, float scale, const float* weight, const float* bias,
               float* out, int64_t n) {
  const D d;
  const V m = hn::Set(d, mean), s = hn::Set(d, scale);
  const auto scaled = [&](V v) { return hn::Mul(hn::Sub(v, m), s); };
  ForEachVector(
      n,
      [&](int64_t i) {
        V y = scaled(hn::LoadU(d, x + i));
        if (weight) y = hn::Mul(y, hn::LoadU(d, weight + i));
        if (bias) y = hn::Add(y, hn::LoadU(d, bias + i));
        hn::StoreU(y, d, out + i);
      },
      [&](int64_t i, int64_t rest) {
        V y = scaled(LoadSome(d, x + i, rest));
        if (weight) y = hn::Mul(y, LoadSome(d, weight + i, rest));
        if (bias) y = hn::Add(y, LoadSome(d, bias + i, rest));
        StoreSome(d, y, out + i, rest);
      });
}

void ChannelMoments(const float* x, int64_t rows, int64_t channels, const float* pivot, float* sums,
                    float* squares) {
  const D d;
  ForEachVector(
      channels,
      [&](int64_t c) {
        V sum = hn::LoadU(d, sums + c), square = hn::LoadU(d, squares + c);
        const V p = hn::LoadU(d, pivot + c);
        for (int64_t r = 0; r < rows; ++r) {
          const V v = hn::Sub(hn::LoadU(d, x + r * channels + c), p);
          sum = hn::Add(sum, v);
          square = hn::MulAdd(v, v, square);
        }
        hn::StoreU(sum, d, sums + c);
        hn::StoreU(square, d, squares + c);
      },
      [&](int64_t c, int64_t rest) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t j = c; j < c + rest; ++j) {
            const float v = x[r * channels + j] - pivot[j];
            sums[j] += v;
            squares[j] += v * v;
          }
        }
      });
}

void ChannelAffine(const float* x, int64_t rows, int64_t channels, const float* center,
                   const float* scale, const float* shift, float* out) {
  const D d;
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x + r * channels;
    float* to = out + r * channels;
    ForEachVector(
        channels,
        [&](int64_t c) {
          const V difference = hn::Sub(hn::LoadU(d, from + c), hn::LoadU(d, center + c));
          hn::StoreU(hn::MulAdd(difference, hn::LoadU(d, scale + c), hn::LoadU(d, shift + c)), d,
                     to + c);
        },
        [&](int64_t c, int64_t rest) {
          for (int64_t j = c; j < c + rest; ++j)
            to[j] = (from[j] - center[j]) * scale[j] + shift[j];
        });
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safelight::engine::cpu {

HWY_EXPORT(Widen);
HWY_EXPORT(Narrow);
HWY_EXPORT(Apply);
HWY_EXPORT(Combine);
HWY_EXPORT(Gate);
HWY_EXPORT(Sum);
HWY_EXPORT(SumOfSquares);
HWY_EXPORT(Maximum);
HWY_EXPORT(ExpMinus);
HWY_EXPORT(Normalise);
HWY_EXPORT(ChannelMoments);
HWY_EXPORT(ChannelAffine);

void widen(const uint16_t* from, float* to, int64_t n) { HWY_DYNAMIC_DISPATCH(Widen)(from, to, n); }
void narrow(const float* from, uint16_t* to, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Narrow)(from, to, n);
}
void apply(const Unary& function, const float* x, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Apply)(function, x, out, n);
}
void combine(BinaryFunction function, const float* a, int a_step, const float* b, int b_step,
             float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Combine)(function, a, a_step, b, b_step, out, n);
}
void gate(const float* x, const float* gates, float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Gate)(x, gates, out, n);
}
double sum(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(Sum)(x, n); }
double sum_of_squares(const float* x, float mean, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x, mean, n);
}
float maximum(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(Maximum)(x, n); }
double exp_minus(const float* x, float top, float* out, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(ExpMinus)(x, top, out, n);
}
void normalise(const float* x, float mean, float scale, const float* weight, const float* bias,
               float* out, int64_t n) {
  HWY_DYNAMIC_DISPATCH(Normalise)(x, mean, scale, weight, bias, out, n);
}
void channel_moments(const float* x, int64_t rows, int64_t channels, const float* pivot,
                     float* sums, float* squares) {
  HWY_DYNAMIC_DISPATCH(ChannelMoments)(x, rows, channels, pivot, sums, squares);
}
void channel_affine(const float* x, int64_t rows, int64_t channels, const float* center,
                    const float* scale, const float* shift, float* out) {
  HWY_DYNAMIC_DISPATCH(ChannelAffine)(x, rows, channels, center, scale, shift, out);
}

}  // namespace safelight::engine::cpu
#endif  // HWY_ONCE
