// Element-wise kernels against plain loops in double.
#include <algorithm>
#include <array>
#include <limits>

#include "engine/cpu/kernels/f32_blocks.h"
#include "kernels_support.h"
#include "random_layout.h"

namespace safelight::engine::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

double exact(const Unary& unary, double x) {
  switch (unary.function) {
    case UnaryFunction::kIdentity:
      return x;
    case UnaryFunction::kSilu:
      return x / (1 + std::exp(-x));
    case UnaryFunction::kGelu:
      return exact_gelu(x);
    case UnaryFunction::kGeluTanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case UnaryFunction::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case UnaryFunction::kRelu:
      return std::max(x, 0.0);
    case UnaryFunction::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case UnaryFunction::kTanh:
      return std::tanh(x);
    case UnaryFunction::kExp:
      return std::exp(x);
    case UnaryFunction::kSin:
      return std::sin(x);
    case UnaryFunction::kCos:
      return std::cos(x);
    case UnaryFunction::kSqrt:
      return std::sqrt(x);
    case UnaryFunction::kSquare:
      return x * x;
    case UnaryFunction::kAbs:
      return std::abs(x);
    case UnaryFunction::kAffine:
      return x * unary.a + unary.b;
    case UnaryFunction::kClamp:
      return std::min(std::max(x, double{unary.a}), double{unary.b});
  }
  return kNaN;
}

constexpr std::array kFunctions = {
    Unary{UnaryFunction::kIdentity},
    Unary{UnaryFunction::kSilu},
    Unary{UnaryFunction::kGelu},
    Unary{UnaryFunction::kGeluTanh},
    Unary{UnaryFunction::kQuickGelu},
    Unary{UnaryFunction::kRelu},
    Unary{UnaryFunction::kSigmoid},
    Unary{UnaryFunction::kTanh},
    Unary{UnaryFunction::kExp},
    Unary{UnaryFunction::kSin},
    Unary{UnaryFunction::kCos},
    Unary{UnaryFunction::kSqrt},
    Unary{UnaryFunction::kSquare},
    Unary{UnaryFunction::kAbs},
    Unary{UnaryFunction::kAffine, -1.5F, 0.7F},
    Unary{UnaryFunction::kClamp, -0.5F, 0.8F},
};

TEST(UnaryKernel, RandomLayouts) {
  for_trials(48, [](Trial& t) {
    const Unary function = kFunctions[t.between(0, kFunctions.size() - 1)];
    const Layout sizes = random_sizes(t), from = random_layout(t, sizes, true),
                 to = random_layout(t, sizes, false);
    const bool root = function.function == UnaryFunction::kSqrt;
    Array x = t.input(from.elements, root ? 0.1F : 1.5F, root ? 2.0F : 0.0F),
          out = t.output(to.elements);
    std::vector<double> want = out.values();
    for (int64_t i = 0; i < sizes.count(); ++i)
      want[to.offset(i)] = exact(function, x[from.offset(i)]);
    unary(function, from.view(x), to.view(out));
    t.expect_close(out, want);
  });
}

TEST(UnaryKernel, InPlace) {
  for_trials(16, [](Trial& t) {
    if (t.from != t.to) return;
    const Layout sizes = random_sizes(t), layout = random_layout(t, sizes, false);
    Array x = t.input(layout.elements);
    std::vector<double> want = x.values();
    for (int64_t i = 0; i < sizes.count(); ++i) {
      want[layout.offset(i)] = exact({UnaryFunction::kSilu}, x[layout.offset(i)]);
    }
    unary({UnaryFunction::kSilu}, layout.view(x), layout.view(x));
    t.expect_close(x, want);
  });
}

/// Largest |error| / (|exact| + floor) over [low, high].
double worst_error(UnaryFunction function, float low, float high, double floor) {
  constexpr int64_t kPoints = 100003;
  std::vector<float> x(kPoints), out(kPoints);
  for (int64_t i = 0; i < kPoints; ++i) {
    x[i] = low + (high - low) * static_cast<float>(i) / (kPoints - 1);
  }
  apply({function}, x.data(), out.data(), kPoints);
  double worst = 0;
  for (int64_t i = 0; i < kPoints; ++i) {
    const double want = exact({function}, x[i]);
    worst = std::max(worst, std::abs(out[i] - want) / (std::abs(want) + floor));
  }
  return worst;
}

TEST(UnaryKernel, FunctionsAreAccurateOverTheirRange) {
  EXPECT_LE(worst_error(UnaryFunction::kGelu, -4, 20, 0), 2e-6);
  EXPECT_LE(worst_error(UnaryFunction::kGelu, -100, 100, 1e-6), 2e-6);
  EXPECT_LE(worst_error(UnaryFunction::kGeluTanh, -3, 20, 0), 4e-6);
  EXPECT_LE(worst_error(UnaryFunction::kSilu, -80, 80, 1e-30), 5e-7);
  EXPECT_LE(worst_error(UnaryFunction::kSigmoid, -80, 80, 0), 5e-7);
  EXPECT_LE(worst_error(UnaryFunction::kExp, -80, 88, 0), 5e-7);
  EXPECT_LE(worst_error(UnaryFunction::kTanh, -30, 30, 0), 1e-6);
  EXPECT_LE(worst_error(UnaryFunction::kSin, -1100, 1100, 1e-1), 3e-6);
  EXPECT_LE(worst_error(UnaryFunction::kCos, -1100, 1100, 1e-1), 3e-6);
  EXPECT_LE(worst_error(UnaryFunction::kSin, 38000, 1e6F, 1), 3e-6);
  EXPECT_LE(worst_error(UnaryFunction::kCos, 38000, 1e6F, 1), 3e-6);
}

TEST(UnaryKernel, NaNStaysNaNAndInfinitiesHaveTheirLimits) {
  for (const Unary& function : kFunctions) {
    for (const int64_t n : {1, 40}) {  // a tail and whole vectors
      std::vector<float> x(n, kNaN), out(n);
      apply(function, x.data(), out.data(), n);
      EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](float v) { return std::isnan(v); }))
          << static_cast<int>(function.function);
    }
  }
  const auto at = [](Unary function, float x) {
    float out;
    apply(function, &x, &out, 1);
    return out;
  };
  EXPECT_EQ(at({UnaryFunction::kExp}, kInfinity), kInfinity);
  EXPECT_EQ(at({UnaryFunction::kExp}, -kInfinity), 0);
  EXPECT_EQ(at({UnaryFunction::kExp}, 1e30F), kInfinity);
  EXPECT_EQ(at({UnaryFunction::kExp}, -1e30F), 0);
  EXPECT_EQ(at({UnaryFunction::kSigmoid}, kInfinity), 1);
  EXPECT_EQ(at({UnaryFunction::kSigmoid}, -kInfinity), 0);
  EXPECT_EQ(at({UnaryFunction::kTanh}, -kInfinity), -1);
  EXPECT_EQ(at({UnaryFunction::kSilu}, kInfinity), kInfinity);
  EXPECT_EQ(at({UnaryFunction::kGelu}, kInfinity), kInfinity);
  EXPECT_EQ(at({UnaryFunction::kGelu}, 1e20F), 1e20F);
  EXPECT_EQ(at({UnaryFunction::kGelu}, -1e20F), 0);
  EXPECT_EQ(at({UnaryFunction::kSilu}, -1e20F), 0);
  EXPECT_EQ(at({UnaryFunction::kClamp, -1, 2}, kInfinity), 2);
}

double exact(BinaryFunction function, double a, double b) {
  switch (function) {
    case BinaryFunction::kAdd:
      return a + b;
    case BinaryFunction::kSub:
      return a - b;
    case BinaryFunction::kMul:
      return a * b;
    case BinaryFunction::kDiv:
      return a / b;
    case BinaryFunction::kMaximum:
      return std::max(a, b);
  }
  return kNaN;
}

TEST(BinaryKernel, RandomLayouts) {
  for_trials(60, [](Trial& t) {
    const auto function = static_cast<BinaryFunction>(t.between(0, 4));
    const Unary after = t.chance() ? Unary{} : kFunctions[t.between(0, 7)];
    const Layout sizes = random_sizes(t), a = random_layout(t, sizes, true),
                 b = random_layout(t, sizes, true), to = random_layout(t, sizes, false);
    Array x = t.input(a.elements), out = t.output(to.elements);
    Array y = t.normal(b.elements, t.chance() ? t.from : Storage::kF32, 0.2F, 2);
    std::vector<double> want = out.values();
    for (int64_t i = 0; i < sizes.count(); ++i) {
      want[to.offset(i)] = exact(after, exact(function, x[a.offset(i)], y[b.offset(i)]));
    }
    binary(function, after, a.view(x), b.view(y), to.view(out));
    t.expect_close(out, want);
  });
}

TEST(BinaryKernel, InPlaceOnEither) {
  for_trials(24, [](Trial& t) {
    if (t.from != t.to) return;
    const Layout sizes = random_sizes(t), layout = random_layout(t, sizes, false),
                 other = random_layout(t, sizes, true);
    Array x = t.input(layout.elements), y = t.input(other.elements);
    std::vector<double> want = x.values();
    const bool left = t.chance();
    for (int64_t i = 0; i < sizes.count(); ++i) {
      const double a = x[layout.offset(i)], b = y[other.offset(i)];
      want[layout.offset(i)] = left ? a - b : b - a;
    }
    const StridedView a = layout.view(x), b = other.view(y);
    binary(BinaryFunction::kSub, {}, left ? a : b, left ? b : a, a);
    t.expect_close(x, want);
  });
}

TEST(BinaryKernel, MaximumKeepsNaN) {
  for (const int64_t n : {3, 37}) {
    Array ones(n, Storage::kF32), nans(n, Storage::kF32), out(n, Storage::kF32);
    for (int64_t i = 0; i < n; ++i) ones.set(i, 1), nans.set(i, kNaN);
    const auto view = [n](Array& array) { return StridedView{array.buffer(), 1, {n}, {1}}; };
    for (const bool left : {false, true}) {
      binary(BinaryFunction::kMaximum, {}, view(left ? nans : ones), view(left ? ones : nans),
             view(out));
      for (int64_t i = 0; i < n; ++i) EXPECT_TRUE(std::isnan(out[i]));
    }
  }
}

TEST(Geglu, RandomShapes) {
  for_trials(24, [](Trial& t) {
    const int64_t rows = t.between(1, 40), columns = t.between(1, t.chance() ? 40 : 1500);
    const int64_t stride = 2 * columns + t.between(0, 3), out_stride = columns + t.between(0, 3);
    Array x = t.input(rows * stride, 2), out = t.output(rows * out_stride);
    std::vector<double> want = out.values();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        want[r * out_stride + c] = x[r * stride + c] * exact_gelu(x[r * stride + columns + c]);
      }
    }
    geglu({x.buffer(), rows, 2 * columns, stride}, {out.buffer(), rows, columns, out_stride});
    t.expect_close(out, want);
  });
}

}  // namespace
}  // namespace safelight::engine::cpu
