// Products with weights in a file's formats against plain loops in double.
#include <atomic>
#include <memory>
#include <new>

#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/kernels/gemm_tiles.h"
#include "kernels_support.h"

namespace safelight::engine::cpu {
namespace {

struct Free {
  void operator()(std::byte* data) const { ::operator delete[](data, std::align_val_t{64}); }
};

/// Scratch that held NaN before.
std::unique_ptr<std::byte, Free> scratch_of(size_t bytes) {
  std::unique_ptr<std::byte, Free> scratch(
      static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
  std::fill_n(scratch.get(), bytes, std::byte{0xFF});
  return scratch;
}

void run(const Gemm& args) {
  const int threads = omp_get_max_threads();
  gemm(args, scratch_of(gemm_scratch(args, threads)).get(), threads);
}

/// To the nearest float16, bit by bit as IEEE 754 has it; halves away from zero.
uint16_t float_to_f16(float value) {
  int exponent;
  const float fraction = std::frexp(std::abs(value), &exponent);
  const uint16_t sign = value < 0 ? 0x8000 : 0;
  if (exponent + 14 <= 0)
    return sign | static_cast<uint16_t>(std::lround(std::ldexp(fraction, exponent + 24)));
  return sign | static_cast<uint16_t>(((exponent + 14) << 10) +
                                      std::lround(std::ldexp(fraction, 11)) - 1024);
}

float f16_to_float(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const float value = exponent == 0
                          ? std::ldexp(static_cast<float>(mantissa), -24)
                          : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return half & 0x8000 ? -value : value;
}

/// A weight in a file: in memory of just its size, at an odd byte.
class FileWeight {
 public:
  FileWeight(Trial& t, WeightFormat format, int64_t rows, int64_t columns)
      : format_(format), rows_(rows), columns_(columns) {
    const Array random = t.floats(rows * columns);
    for (int64_t i = 0; i < random.size(); ++i) append(random[i]);
  }

  FileMatrix matrix() const { return {bytes_.data() + 1, format_, rows_, columns_}; }
  double at(int64_t row, int64_t column) const {
    return values_[static_cast<size_t>(row * columns_ + column)];
  }

 private:
  void append(float value) {
    if (format_ == WeightFormat::kF32) {
      append_bytes(&value, sizeof value);
    } else if (format_ == WeightFormat::kBF16) {
      const uint16_t half = float_to_bf16(value);
      append_bytes(&half, sizeof half);
      value = bf16_to_float(half);
    } else {
      // Some below the normal numbers.
      const uint16_t half = float_to_f16(values_.size() % 7 == 0 ? std::ldexp(value, -16) : value);
      append_bytes(&half, sizeof half);
      value = f16_to_float(half);
    }
    values_.push_back(value);
  }
  void append_bytes(const void* from, size_t n) {
    const auto* bytes = static_cast<const std::byte*>(from);
    bytes_.insert(bytes_.end(), bytes, bytes + n);
  }

  WeightFormat format_;
  int64_t rows_, columns_;
  std::vector<std::byte> bytes_{std::byte{0}};
  std::vector<double> values_;
};

struct Sizes {
  int64_t rows, columns, depth;
};

double exact(const Unary& unary, double x) {
  switch (unary.function) {
    case UnaryFunction::kSilu:
      return x / (1 + std::exp(-x));
    case UnaryFunction::kAffine:
      return x * unary.a + unary.b;
    default:
      return exact_gelu(x);
  }
}

/// Random operands, rows with gaps between them, and up to three operations behind the product.
struct GemmCase {
  Sizes sizes;
  int64_t x_stride, out_stride, addend_stride;
  Array x, out, addend, bias;
  FileWeight weight;
  std::vector<RowOperation> after;
  bool has_bias;

  GemmCase(Trial& t, const Sizes& chosen, WeightFormat format)
      : sizes(chosen),
        x_stride(chosen.depth + t.between(0, 5)),
        out_stride(chosen.columns + t.between(0, 5)),
        addend_stride(chosen.columns + t.between(0, 5)),
        x(t.input(chosen.rows * x_stride)),
        out(t.output(chosen.rows * out_stride)),
        addend(t.input(chosen.rows * addend_stride)),
        bias(t.floats(chosen.columns)),
        weight(t, format, chosen.columns, chosen.depth),
        has_bias(t.chance()) {
    const Unary unaries[] = {
        {UnaryFunction::kSilu}, {UnaryFunction::kAffine, 0.5F, 2.0F}, {UnaryFunction::kGelu}};
    if (t.chance()) after.push_back({unaries[t.between(0, 2)]});
    if (t.chance()) after.push_back({{}, addend.buffer(), addend_stride});
    if (t.chance()) after.push_back({unaries[t.between(0, 2)]});
  }

  Gemm args() {
    return {.x = {x.buffer(), sizes.rows, sizes.depth, x_stride},
            .out = {out.buffer(), sizes.rows, sizes.columns, out_stride},
            .weight = weight.matrix(),
            .bias = has_bias ? bias.floats() : nullptr,
            .after = after};
  }

  std::vector<double> expected() const {
    std::vector<double> want = out.values();
    for (int64_t m = 0; m < sizes.rows; ++m) {
      for (int64_t n = 0; n < sizes.columns; ++n) {
        double sum = has_bias ? bias[n] : 0;
        for (int64_t k = 0; k < sizes.depth; ++k) sum += x[m * x_stride + k] * weight.at(n, k);
        for (const RowOperation& operation : after) {
          sum = operation.addend.data ? sum + addend[m * addend_stride + n]
                                      : exact(operation.unary, sum);
        }
        want[static_cast<size_t>(m * out_stride + n)] = sum;
      }
    }
    return want;
  }
};

constexpr WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16};

void check(Trial& t, const Sizes& sizes) {
  for (const WeightFormat format : kFormats) {
    GemmCase c(t, sizes, format);
    SCOPED_TRACE(::testing::Message() << sizes.rows << " x " << sizes.columns << " x "
                                      << sizes.depth << ", " << weight_size(format) << " bytes"
                                      << ", " << c.after.size() << " operations");
    const std::vector<double> want = c.expected();
    run(c.args());
    t.expect_close(c.out, want);
  }
}

TEST(GemmKernel, RandomShapes) {
  for_trials(20, [](Trial& t) {
    check(t, {t.between(1, 60), t.between(1, 100), t.between(1, 90)});
  });
}

TEST(GemmKernel, FewRows) {
  for_trials(4, [](Trial& t) {
    for (int64_t rows = 1; rows <= 5; ++rows) {
      check(t, {rows, t.between(1, 700), t.between(1, 80)});
    }
  });
}

// Depths that are summed in one, two and three pieces.
TEST(GemmKernel, LongSums) {
  for_trials(3, [](Trial& t) { check(t, {t.between(5, 30), t.between(1, 40), 256}); });
  for_trials(6, [](Trial& t) {
    check(t, {t.between(5, 30), t.between(1, 40), t.between(257, 700)});
  });
}

// More rows and columns than a task takes.
TEST(GemmKernel, ManyTasks) {
  for_trials(2, [](Trial& t) { check(t, {t.between(1100, 1300), t.between(330, 400), 9}); });
}

struct ConvolutionSizes {
  int64_t images, channels, filters;
  Filter filter;
  int64_t bottom = 0, right = 0;  ///< padding
};

/// Fills in the result's size, and checks against the sum over taps and channels.
void check(Trial& t, ConvolutionSizes s, WeightFormat format) {
  Filter& f = s.filter;
  f.out_height =
      (f.height * f.upsample + f.top + s.bottom - f.dilation_y * (f.rows - 1) - 1) / f.stride_y + 1;
  f.out_width =
      (f.width * f.upsample + f.left + s.right - f.dilation_x * (f.columns - 1) - 1) / f.stride_x +
      1;
  const int64_t stride = s.channels + t.between(0, 3), pixels = f.out_height * f.out_width;
  Array x = t.input(s.images * f.height * f.width * stride),
        out = t.output(s.images * pixels * s.filters), bias = t.floats(s.filters);
  const FileWeight weight(t, format, s.filters, s.channels * f.taps());
  std::vector<double> want(static_cast<size_t>(out.size()));
  for (int64_t i = 0; i < out.size(); ++i) {
    const int64_t n = i % s.filters, pixel = i / s.filters % pixels, image = i / s.filters / pixels;
    double& sum = want[static_cast<size_t>(i)] = bias[n];
    for (int64_t tap = 0; tap < f.taps(); ++tap) {
      const int64_t row = pixel / f.out_width * f.stride_y + tap / f.columns * f.dilation_y - f.top;
      const int64_t column =
          pixel % f.out_width * f.stride_x + tap % f.columns * f.dilation_x - f.left;
      if (row < 0 || row >= f.height * f.upsample) continue;
      if (column < 0 || column >= f.width * f.upsample) continue;
      const int64_t from = (image * f.height + row / f.upsample) * f.width + column / f.upsample;
      for (int64_t c = 0; c < s.channels; ++c) {
        sum += x[from * stride + c] * weight.at(n, c * f.taps() + tap);
      }
    }
  }
  run({.x = {x.buffer(), s.images * f.height * f.width, s.channels, stride},
       .out = {out.buffer(), s.images * pixels, s.filters, s.filters},
       .weight = weight.matrix(),
       .bias = bias.floats(),
       .filter = f});
  t.expect_close(out, want);
}

TEST(GemmKernel, Convolutions) {
  for_trials(10, [](Trial& t) {
    for (const WeightFormat format : kFormats) {
      ConvolutionSizes s{.images = t.between(1, 2),
                         .channels = t.between(1, 40),
                         .filters = t.between(1, 40),
                         .filter = {.rows = t.between(1, 4),
                                    .columns = t.between(1, 4),
                                    .height = t.between(4, 9),
                                    .width = t.between(4, 9),
                                    .stride_y = t.between(1, 3),
                                    .stride_x = t.between(1, 3),
                                    .dilation_y = t.between(1, 2),
                                    .dilation_x = t.between(1, 2),
                                    .top = t.between(2, 3),
                                    .left = t.between(2, 3),
                                    .upsample = t.between(1, 2)},
                         .bottom = t.between(1, 2),
                         .right = t.between(1, 2)};
      check(t, s, format);
    }
  });
}

// Few rows of the result, and the most taps.
TEST(GemmKernel, LargeFilters) {
  for_trials(1, [](Trial& t) {
    for (const WeightFormat format : kFormats) {
      check(t, {1, 3, 20, {.rows = 10, .columns = 16, .height = 11, .width = 16}}, format);
      check(t, {1, 24, 20, {.rows = 3, .columns = 3, .height = 3, .width = 3}}, format);
    }
  });
}

TEST(GemmKernel, AddsToItsResult) {
  for_trials(3, [](Trial& t) {
    GemmCase c(t, {t.between(1, 40), t.between(1, 400), 20}, WeightFormat::kF16);
    for (int64_t i = 0; i < c.out.size(); ++i) c.out.set(i, static_cast<float>(i % 13));
    c.after = {};
    std::vector<double> want = c.expected();
    for (int64_t m = 0; m < c.sizes.rows; ++m) {
      for (int64_t n = 0; n < c.sizes.columns; ++n) {
        want[static_cast<size_t>(m * c.out_stride + n)] += c.out[m * c.out_stride + n];
      }
    }
    c.after = {{{}, c.out.buffer(), c.out_stride}};
    run(c.args());
    t.expect_close(c.out, want);
  });
}

TEST(GemmKernel, NaNSpoilsItsRowOnly) {
  for (const int64_t rows : {3, 31}) {
    Trial t(1, Storage::kF32, Storage::kF32);
    GemmCase c(t, {rows, 40, 300}, WeightFormat::kF16);
    c.after = {};
    c.x.set(c.x_stride + 299, std::numeric_limits<float>::quiet_NaN());
    run(c.args());
    for (int64_t m = 0; m < rows; ++m) {
      for (int64_t n = 0; n < 40; ++n) EXPECT_EQ(std::isnan(c.out[m * c.out_stride + n]), m == 1);
    }
  }
}

TEST(GemmKernel, StopsBeforeItsWork) {
  for (const int64_t rows : {2, 64}) {
    Trial t(1, Storage::kF32, Storage::kF32);
    GemmCase c(t, {rows, 64, 64}, WeightFormat::kF16);
    const std::atomic<bool> stop = true;
    Gemm args = c.args();
    args.stop = &stop;
    run(args);
    for (int64_t i = 0; i < c.out.size(); ++i) EXPECT_EQ(c.out[i], -12345.0F);
  }
}

// Every element of the result belongs to one task, and tasks fit what the kernel holds.
TEST(GemmTiles, CoverTheResult) {
  for (const int threads : {1, 2, 3, 8, 64}) {
    for (const int64_t rows : {5, 77, 128, 154, 512, 2048, 8192, 100000}) {
      for (const int64_t columns : {1, 4, 320, 640, 1280, 10240}) {
        const GemmTiles tiles = gemm_tiles(rows, columns, threads);
        EXPECT_GE(tiles.row_block * tiles.row_blocks, rows);
        EXPECT_LT(tiles.row_block * (tiles.row_blocks - 1), rows);
        EXPECT_GE(tiles.column_block * tiles.column_blocks, columns);
        EXPECT_LT(tiles.column_block * (tiles.column_blocks - 1), columns);
        EXPECT_EQ(tiles.row_block % 24, 0);
        EXPECT_EQ(tiles.column_block % GemmTiles::kPanel, 0);
        EXPECT_LE(tiles.column_block, 320);
      }
    }
  }
}

}  // namespace
}  // namespace safelight::engine::cpu
