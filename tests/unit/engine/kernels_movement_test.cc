// Copies, conversions and up-sampling against plain loops.
#include "kernels_support.h"
#include "random_layout.h"

namespace safelight::engine::cpu {
namespace {

TEST(Copy, RandomLayouts) {
  for_trials(60, [](Trial& t) {
    const Layout sizes = random_sizes(t), from = random_layout(t, sizes, true),
                 to = random_layout(t, sizes, false);
    Array x = t.input(from.elements), out = t.output(to.elements);
    std::vector<double> want = out.values();
    for (int64_t i = 0; i < sizes.count(); ++i) want[to.offset(i)] = x[from.offset(i)];
    copy(from.view(x), to.view(out));
    if (t.to == Storage::kF32) {
      EXPECT_EQ(out.values(), want);
    } else {
      for (int64_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i], bf16_to_float(float_to_bf16(static_cast<float>(want[i]))));
      }
    }
  });
}

TEST(Copy, EveryBfloat16ComesBack) {
  Array half(65536, Storage::kBF16), wide(65536, Storage::kF32), again(65536, Storage::kBF16);
  auto* bits = reinterpret_cast<uint16_t*>(half.buffer().data);
  for (int i = 0; i < 65536; ++i) bits[i] = static_cast<uint16_t>(i);
  const auto view = [](Array& array) { return StridedView{array.buffer(), 1, {65536}, {1}}; };
  copy(view(half), view(wide));
  copy(view(wide), view(again));
  for (int64_t i = 0; i < 65536; ++i) {
    if (std::isnan(half[i])) {
      ASSERT_TRUE(std::isnan(wide[i]) && std::isnan(again[i])) << i;
    } else {
      ASSERT_EQ(wide[i], half[i]);
      ASSERT_EQ(again[i], half[i]);
    }
  }
}

TEST(Copy, RoundsToNearestEven) {
  const std::vector<std::pair<uint32_t, uint16_t>> cases = {
      {0x3F808000, 0x3F80},  // half way, even below
      {0x3F818000, 0x3F82},  // half way, even above
      {0x3F808001, 0x3F81}, {0x3F807FFF, 0x3F80},
      {0xBF818000, 0xBF82}, {0x7F7FFFFF, 0x7F80},  // beyond the largest number: infinity
      {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80},
      {0x00000001, 0x0000}, {0x80000000, 0x8000},
  };
  const auto n = static_cast<int64_t>(cases.size());
  Array wide(n, Storage::kF32), half(n, Storage::kBF16);
  for (int64_t i = 0; i < n; ++i) __builtin_memcpy(wide.floats() + i, &cases[i].first, 4);
  copy({wide.buffer(), 1, {n}, {1}}, {half.buffer(), 1, {n}, {1}});
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_EQ(reinterpret_cast<uint16_t*>(half.buffer().data)[i], cases[i].second) << i;
  }
}

TEST(Upsample, RandomShapes) {
  for_trials(16, [](Trial& t) {
    const int64_t batch = t.between(1, 3), height = t.between(1, 9), width = t.between(1, 9),
                  channels = t.between(1, 70);
    const int fy = static_cast<int>(t.between(1, 3)), fx = static_cast<int>(t.between(1, 3));
    Array x = t.input(batch * height * width * channels), out = t.output(x.size() * fy * fx);
    std::vector<double> want;
    for (int64_t r = 0; r < batch * height * fy; ++r) {
      for (int64_t w = 0; w < width * fx; ++w) {
        const int64_t from =
            ((r / (height * fy) * height + r % (height * fy) / fy) * width + w / fx) * channels;
        for (int64_t c = 0; c < channels; ++c) want.push_back(x[from + c]);
      }
    }
    upsample_nearest(x.buffer(), out.buffer(), batch, height, width, channels, fy, fx);
    t.expect_close(out, want);
  });
}

}  // namespace
}  // namespace safelight::engine::cpu
