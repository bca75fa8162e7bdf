// Norms, softmax and means against plain loops in double.
#include <algorithm>
#include <limits>

#include "kernels_support.h"

namespace safelight::engine::cpu {
namespace {

/// Rows of random sizes and strides, with the expectation of what lies between them unchanged.
struct RowsCase {
  int64_t rows, columns, stride, out_stride;
  Array x, out;
  std::vector<double> want;

  explicit RowsCase(Trial& t, float deviation = 1, float mean = 0)
      : rows(t.between(1, 30)),
        columns(t.between(1, t.chance() ? 50 : 2600)),
        stride(columns + t.between(0, 3)),
        out_stride(columns + t.between(0, 3)),
        x(t.input(rows * stride, deviation, mean)),
        out(t.output(rows * out_stride)) {
    want = out.values();
  }
  Rows from() { return {x.buffer(), rows, columns, stride}; }
  Rows to() { return {out.buffer(), rows, columns, out_stride}; }
  double value(int64_t r, int64_t c) const { return x[r * stride + c]; }
  double& expected(int64_t r, int64_t c) { return want[r * out_stride + c]; }
};

TEST(LayerNorm, RandomShapes) {
  for_trials(30, [](Trial& t) {
    RowsCase s(t, 3, static_cast<float>(t.between(-2, 2)));
    Array weight = t.floats(s.columns), bias = t.floats(s.columns);
    const bool scaled = t.chance(), shifted = t.chance();
    for (int64_t r = 0; r < s.rows; ++r) {
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < s.columns; ++c) mean += s.value(r, c) / s.columns;
      for (int64_t c = 0; c < s.columns; ++c)
        variance += std::pow(s.value(r, c) - mean, 2) / s.columns;
      for (int64_t c = 0; c < s.columns; ++c) {
        s.expected(r, c) =
            (s.value(r, c) - mean) / std::sqrt(variance + 1e-5) * (scaled ? weight[c] : 1) +
            (shifted ? bias[c] : 0);
      }
    }
    layer_norm(s.from(), scaled ? weight.floats() : nullptr, shifted ? bias.floats() : nullptr,
               1e-5F, s.to());
    t.expect_close(s.out, s.want);
  });
}

TEST(RmsNorm, RandomShapes) {
  for_trials(24, [](Trial& t) {
    RowsCase s(t, 3);
    Array weight = t.floats(s.columns);
    const bool scaled = t.chance();
    for (int64_t r = 0; r < s.rows; ++r) {
      double power = 0;
      for (int64_t c = 0; c < s.columns; ++c) power += s.value(r, c) * s.value(r, c) / s.columns;
      for (int64_t c = 0; c < s.columns; ++c) {
        s.expected(r, c) = s.value(r, c) / std::sqrt(power + 1e-6) * (scaled ? weight[c] : 1);
      }
    }
    rms_norm(s.from(), scaled ? weight.floats() : nullptr, 1e-6F, s.to());
    t.expect_close(s.out, s.want);
  });
}

TEST(Softmax, RandomShapes) {
  for_trials(24, [](Trial& t) {
    RowsCase s(t, 4, static_cast<float>(t.between(-300, 300)));
    for (int64_t r = 0; r < s.rows; ++r) {  // some entries are masked, never all
      for (int64_t c = 1; c < s.columns; ++c) {
        if (t.between(0, 5) == 0)
          s.x.set(r * s.stride + c, -std::numeric_limits<float>::infinity());
      }
    }
    for (int64_t r = 0; r < s.rows; ++r) {
      double top = s.value(r, 0), total = 0;
      for (int64_t c = 0; c < s.columns; ++c) top = std::max(top, s.value(r, c));
      for (int64_t c = 0; c < s.columns; ++c) total += std::exp(s.value(r, c) - top);
      for (int64_t c = 0; c < s.columns; ++c)
        s.expected(r, c) = std::exp(s.value(r, c) - top) / total;
    }
    const Rows from = s.from();
    if (t.from == t.to && s.stride == s.out_stride && s.columns == s.stride) {
      softmax(from, from);  // in place
      t.expect_close(s.x, s.want);
    } else {
      softmax(from, s.to());
      t.expect_close(s.out, s.want);
    }
  });
}

TEST(Softmax, NaNSpoilsItsRowOnly) {
  for (const int64_t columns : {7, 100}) {
    for (int64_t bad = 0; bad < columns; ++bad) {
      Array x(2 * columns, Storage::kF32);
      x.set(bad, std::numeric_limits<float>::quiet_NaN());
      const Rows rows{x.buffer(), 2, columns, columns};
      softmax(rows, rows);
      for (int64_t c = 0; c < columns; ++c) {
        ASSERT_TRUE(std::isnan(x[c]));
        ASSERT_FLOAT_EQ(x[columns + c], 1.0F / static_cast<float>(columns));
      }
    }
  }
}

TEST(RowMean, RandomShapes) {
  for_trials(16, [](Trial& t) {
    if (t.to != Storage::kF32) return;
    RowsCase s(t, 1, 0.5F);
    Array out = t.output(s.rows);
    std::vector<double> want(s.rows);
    for (int64_t r = 0; r < s.rows; ++r) {
      for (int64_t c = 0; c < s.columns; ++c) want[r] += s.value(r, c) / s.columns;
    }
    row_mean(s.from(), out.floats());
    t.expect_close(out, want);
  });
}

/// A group norm with random sizes and what it must give.
struct GroupNormCase {
  int64_t batch, positions, channels;
  int groups;
  Array x, addend, weight, bias, out;
  GroupNorm args;

  GroupNormCase(Trial& t, int64_t count, int64_t group_size, float deviation, float mean)
      : batch(t.between(1, 3)),
        positions(count),
        channels(0),
        groups(static_cast<int>(t.between(0, 2) == 0 ? 32 : t.between(1, 9))),
        x(0, t.from),
        addend(0, t.from),
        weight(0, t.from),
        bias(0, t.from),
        out(0, t.to) {
    channels = groups * group_size;
    x = t.input(batch * positions * channels, deviation, mean);
    addend = t.normal(batch * channels, t.chance() ? t.from : Storage::kF32);
    weight = t.floats(channels), bias = t.floats(channels);
    out = t.output(x.size());
    args = {.x = x.buffer(),
            .out = out.buffer(),
            .weight = weight.floats(),
            .bias = bias.floats(),
            .batch = batch,
            .positions = positions,
            .channels = channels,
            .groups = groups};
    if (t.chance()) args.addend = addend.buffer();
    if (t.chance()) args.after = {UnaryFunction::kSilu};
  }

  double value(int64_t b, int64_t s, int64_t c) const {
    return double{x[(b * positions + s) * channels + c]} +
           (args.addend.data ? addend[b * channels + c] : 0);
  }

  std::vector<double> expected() const {
    const int64_t size = channels / groups;
    std::vector<double> want(batch * positions * channels);
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t first = 0; first < channels; first += size) {
        double mean = 0, variance = 0;
        const auto n = static_cast<double>(positions * size);
        for_group(first, size, [&](int64_t s, int64_t c) { mean += value(b, s, c) / n; });
        for_group(first, size, [&](int64_t s, int64_t c) {
          variance += std::pow(value(b, s, c) - mean, 2) / n;
        });
        for_group(first, size, [&](int64_t s, int64_t c) {
          const double y =
              (value(b, s, c) - mean) / std::sqrt(variance + args.epsilon) * weight[c] + bias[c];
          const bool silu = args.after.function == UnaryFunction::kSilu;
          want[(b * positions + s) * channels + c] = silu ? y / (1 + std::exp(-y)) : y;
        });
      }
    }
    return want;
  }

  template <class Body>
  void for_group(int64_t first, int64_t size, Body body) const {
    for (int64_t s = 0; s < positions; ++s) {
      for (int64_t c = first; c < first + size; ++c) body(s, c);
    }
  }
};

TEST(GroupNormKernel, RandomShapes) {
  for_trials(30, [](Trial& t) {
    GroupNormCase s(t, t.between(1, 300), t.chance() ? t.between(1, 3) : t.between(1, 23), 2, 0.5F);
    group_norm(s.args);
    t.expect_close(s.out, s.expected());
  });
}

TEST(GroupNormKernel, InPlace) {
  for_trials(6, [](Trial& t) {
    if (t.from != t.to) return;
    GroupNormCase s(t, t.between(1, 200), t.between(1, 10), 1, 0);
    s.args.out = s.args.x;
    const std::vector<double> want = s.expected();
    group_norm(s.args);
    t.expect_close(s.x, want);
  });
}

// The mean a thousand times the deviation: a variance from the sum of squares would be noise.
// float32 values near 1000 are themselves known to 3e-5 only, so the limit is not that of rounding.
TEST(GroupNormKernel, LargeMeanDoesNotCancel) {
  for_trials(3, [](Trial& t) {
    if (t.from != Storage::kF32 || t.to != Storage::kF32) return;
    GroupNormCase s(t, 5000, 4, 1, 1000);
    const std::vector<double> want = s.expected();
    group_norm(s.args);
    double error = 0, power = 0;
    for (int64_t i = 0; i < s.out.size(); ++i) {
      error += std::pow(s.out[i] - want[i], 2);
      power += want[i] * want[i];
    }
    EXPECT_LE(error / power, 1e-8);
  });
}

TEST(GroupNormKernel, ResultDoesNotDependOnThreads) {
  Trial t(1, Storage::kF32, Storage::kF32);
  GroupNormCase s(t, 3000, 5, 1, 0.3F);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  group_norm(s.args);
  Array first = s.out;
  for (const int n : {2, 3}) {
    omp_set_num_threads(n);
    group_norm(s.args);
    for (int64_t i = 0; i < first.size(); ++i) ASSERT_EQ(s.out[i], first[i]);
  }
  omp_set_num_threads(threads);
}

}  // namespace
}  // namespace safelight::engine::cpu
