// Winograd's convolution against the direct one in double.
#include "engine/cpu/kernels/winograd.h"

#include <algorithm>
#include <memory>
#include <new>

#include "kernels_support.h"

namespace safelight::engine::cpu {
namespace {

struct Free {
  void operator()(std::byte* data) const { ::operator delete[](data, std::align_val_t{64}); }
};
using Memory = std::unique_ptr<std::byte, Free>;

/// Aligned memory full of NaN: what it held before is of no account.
Memory spoiled(size_t bytes) {
  Memory memory(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
  std::fill_n(memory.get(), bytes, std::byte{0xFF});
  return memory;
}

/// Random filters in a file's format, one byte off any alignment.
class Filters {
 public:
  Filters(Trial& t, int64_t out, int64_t in, WeightFormat format)
      : format_(format),
        bytes_(1 + static_cast<size_t>(out * in * 9) * weight_size(format)),
        packed_(spoiled(packed_winograd_bytes(out, in, format))) {
    const Array normal = t.floats(out * in * 9, 1 / std::sqrt(9 * static_cast<float>(in)));
    for (int64_t i = 0; i < normal.size(); ++i) values_.push_back(put(i, normal[i]));
    pack_winograd(bytes_.data() + 1, format, out, in, packed_.get());
  }

  double operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }
  WinogradWeights packed() const { return {packed_.get(), nullptr, format_}; }

 private:
  /// Writes weight i as near to `value` as the format has it; gives what it is.
  double put(int64_t i, float value) {
    std::byte* to = bytes_.data() + 1 + i * static_cast<int64_t>(weight_size(format_));
    if (format_ == WeightFormat::kF32) {
      __builtin_memcpy(to, &value, sizeof value);
      return value;
    }
    if (format_ == WeightFormat::kBF16) {
      const uint16_t bits = float_to_bf16(value);
      __builtin_memcpy(to, &bits, sizeof bits);
      return bf16_to_float(bits);
    }
    // Half precision: 10 bits of mantissa, exponents from -14, below that fixed steps of 2^-24.
    int exponent;
    std::frexp(value, &exponent);
    const int step = std::max(exponent - 11, -24);
    const auto steps = static_cast<int>(std::nearbyint(std::ldexp(std::fabs(value), -step)));
    const int bits = steps < 1024 ? steps : ((step + 25) << 10) + steps - 1024;
    const auto half = static_cast<uint16_t>(bits | (value < 0 ? 0x8000 : 0));
    __builtin_memcpy(to, &half, sizeof half);
    return std::copysign(std::ldexp(steps, step), value);
  }

  WeightFormat format_;
  std::vector<std::byte> bytes_;
  std::vector<double> values_;
  Memory packed_;
};

void run(const Winograd& args) {
  const int threads = omp_get_max_threads();
  const Memory scratch = spoiled(winograd_scratch(args, threads));
  winograd(args, scratch.get(), threads);
}

/// Operands of one convolution; pixels have gaps between them.
struct Case {
  Winograd args;
  Filters filters;
  Array x, addend, bias, out;

  Case(Trial& t, const Winograd& sizes, WeightFormat format)
      : args(sizes),
        filters(t, sizes.out_channels, sizes.in_channels, format),
        x(t.input(place_x(t, args))),
        addend(t.input(place_addend(t, args))),
        bias(t.floats(sizes.out_channels)),
        out(t.output(place_out(t, args))) {
    args.x = x.buffer();
    args.out = out.buffer();
    args.weights = filters.packed();
  }

  static int64_t place_x(Trial& t, Winograd& args) {
    args.x_stride = args.in_channels + t.between(0, 5);
    return args.batch * args.height * args.width * args.x_stride;
  }
  static int64_t place_addend(Trial& t, Winograd& args) {
    args.addend_stride = args.out_channels + t.between(0, 5);
    return pixels(args) * args.addend_stride;
  }
  static int64_t place_out(Trial& t, Winograd& args) {
    args.out_stride = args.out_channels + t.between(0, 5);
    return pixels(args) * args.out_stride;
  }
  static int64_t pixels(const Winograd& args) {
    return args.batch * args.out_height() * args.out_width();
  }

  double expected(int64_t pixel, int64_t channel) const {
    const int64_t column = pixel % args.out_width(), line = pixel / args.out_width();
    const int64_t image = line / args.out_height(), row = line % args.out_height();
    double sum = args.bias ? bias[channel] : 0.0;
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t from = pixel_of_x(image, row - args.top + i / 3, column - args.left + i % 3);
      if (from < 0) continue;
      const int64_t filter = channel * args.in_channels * 9 + i;
      for (int64_t c = 0; c < args.in_channels; ++c)
        sum += double{x[from * args.x_stride + c]} * filters[filter + c * 9];
    }
    if (args.after.function == UnaryFunction::kSilu) sum /= 1 + std::exp(-sum);
    return args.addend.data ? sum + addend[pixel * args.addend_stride + channel] : sum;
  }

  /// The pixel of x that stands at (row, column) after up-sampling; -1 outside.
  int64_t pixel_of_x(int64_t image, int64_t row, int64_t column) const {
    const int64_t factor = args.upsample;
    if (row < 0 || row >= args.height * factor || column < 0 || column >= args.width * factor)
      return -1;
    return (image * args.height + row / factor) * args.width + column / factor;
  }

  /// The normalised squared error of every `step`-th result.
  double error(int64_t step) const {
    double error = 0, power = 1e-30;
    for (int64_t i = 0; i < pixels(args) * args.out_channels; i += step) {
      const int64_t pixel = i / args.out_channels, channel = i % args.out_channels;
      const double want = expected(pixel, channel);
      const double difference = out[pixel * args.out_stride + channel] - want;
      error += difference * difference;
      power += want * want;
    }
    return error / power;
  }

  void expect_gaps_untouched() const {
    for (int64_t i = 0; i < out.size(); ++i) {
      if (i % args.out_stride < args.out_channels) continue;
      ASSERT_FLOAT_EQ(out[i], untouched());
    }
  }
  float untouched() const {
    return args.out.storage == Storage::kF32 ? -12345.0F : bf16_to_float(float_to_bf16(-12345.0F));
  }
};

WeightFormat any_format(Trial& t) { return static_cast<WeightFormat>(t.between(0, 2)); }

/// Both orders, with weights transformed in the call and before.
void check(Case& s, double limit, int64_t step = 1) {
  SCOPED_TRACE(::testing::Message()
               << s.args.batch << " x " << s.args.height << " x " << s.args.width << ", "
               << s.args.in_channels << " to " << s.args.out_channels << " channels, upsample "
               << s.args.upsample << ", padding " << s.args.top << s.args.left << s.args.bottom
               << s.args.right << ", format " << static_cast<int>(s.args.weights.format));
  const Memory transformed =
      spoiled(transformed_winograd_bytes(s.args.out_channels, s.args.in_channels));
  transform_winograd(s.args.weights, s.args.out_channels, s.args.in_channels,
                     reinterpret_cast<float*>(transformed.get()));
  for (const WinogradOrder order : {WinogradOrder::kByFilters, WinogradOrder::kByTiles}) {
    for (const bool kept : {false, true}) {
      SCOPED_TRACE(::testing::Message()
                   << "order " << static_cast<int>(order) << (kept ? ", transformed weights" : ""));
      for (int64_t i = 0; i < s.out.size(); ++i) s.out.set(i, -12345.0F);
      s.args.order = order;
      s.args.weights.transformed =
          kept ? reinterpret_cast<const float*>(transformed.get()) : nullptr;
      run(s.args);
      EXPECT_LE(s.error(step), limit);
      s.expect_gaps_untouched();
    }
  }
}

double limit(const Trial& t) { return t.to == Storage::kF32 ? 1e-10 : 1.6e-5; }

TEST(WinogradKernel, RandomShapes) {
  for_trials(16, [](Trial& t) {
    Winograd sizes{.batch = t.between(1, 3),
                   .height = t.between(1, 14),
                   .width = t.between(1, 14),
                   .in_channels = t.between(1, 150),
                   .out_channels = t.between(1, 80),
                   .upsample = t.between(1, 2)};
    if (sizes.height > 2 && sizes.width > 2) {
      sizes.top = t.between(0, 1);
      sizes.left = t.between(0, 1);
      sizes.bottom = t.between(0, 1);
      sizes.right = t.between(0, 1);
    }
    Case s(t, sizes, any_format(t));
    if (t.chance()) s.args.bias = s.bias.floats();
    if (t.chance()) s.args.addend = s.addend.buffer();
    if (t.chance()) s.args.after = {UnaryFunction::kSilu};
    check(s, limit(t));
  });
}

// Groups and chunks of several sizes, the last of them not full.
TEST(WinogradKernel, ManyTiles) {
  for_trials(3, [](Trial& t) {
    Case s(t,
           {.batch = 2,
            .height = t.between(50, 70),
            .width = t.between(50, 70),
            .in_channels = t.between(3, 40),
            .out_channels = t.between(3, 70)},
           any_format(t));
    check(s, limit(t), 7);
  });
}

TEST(WinogradKernel, ErrorAtShapesOfStableDiffusion) {
  Trial t(1, Storage::kF32, Storage::kF32);
  for (const auto& [size, in, out] : std::initializer_list<std::array<int64_t, 3>>{
           {64, 320, 64}, {32, 1920, 32}, {16, 2560, 64}, {8, 2560, 96}, {64, 512, 64}}) {
    Case s(t, {.batch = 1, .height = size, .width = size, .in_channels = in, .out_channels = out},
           WeightFormat::kF16);
    check(s, 1e-9, 997);
  }
}

TEST(WinogradKernel, StopsWithoutAResult) {
  Trial t(1, Storage::kF32, Storage::kF32);
  const std::atomic<bool> stop{true};
  Case s(t, {.batch = 1, .height = 20, .width = 20, .in_channels = 70, .out_channels = 40},
         WeightFormat::kBF16);
  s.args.stop = &stop;
  for (const WinogradOrder order : {WinogradOrder::kByFilters, WinogradOrder::kByTiles}) {
    s.args.order = order;
    run(s.args);
    for (int64_t i = 0; i < s.out.size(); ++i) ASSERT_FLOAT_EQ(s.out[i], s.untouched());
  }
}

}  // namespace
}  // namespace safelight::engine::cpu
