#include <algorithm>
#include <array>
#include <cstring>

#include "engine/cpu/kernels/attention_math.h"
#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/cpu/kernels/attention_f32.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway demands.
#include "engine/cpu/kernels/tile_product-inl.h"
#include "engine/cpu/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {
namespace {

constexpr int kVectors = 2;
constexpr int64_t kLanes = hn::MaxLanes(D()), kWidth = kLanes * kVectors;
constexpr int kUnit = register_rows(kVectors) / 3;

template <int kRows>
void ScoresOfPanel(const float* keys, const float* queries, int64_t depth, float* scores,
                   float* top) {
  const D d;
  V sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
  }
  AccumulateTile<LeftLayout<1, kRows>>(keys, queries, depth, sums);
  V tops[kVectors] = {hn::Load(d, top), hn::Load(d, top + kLanes)};
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      hn::Store(sums[r][v], d, scores + r * kWidth + v * kLanes);
      tops[v] = hn::Max(tops[v], sums[r][v]);
    }
  }
  hn::Store(tops[0], d, top);
  hn::Store(tops[1], d, top + kLanes);
}

template <int kRows>
void WeighPanel(const float* values, const float* weights, int64_t depth, const float* rescale,
                float* sums) {
  const D d;
  const V factors[kVectors] = {hn::Load(d, rescale), hn::Load(d, rescale + kLanes)};
  V held[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v)
      held[r][v] = hn::Mul(hn::Load(d, sums + r * kWidth + v * kLanes), factors[v]);
  }
  AccumulateTile<LeftLayout<1, kRows>>(values, weights, depth, held);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) hn::Store(held[r][v], d, sums + r * kWidth + v * kLanes);
  }
}

/// x = 2^x for x <= 0, at least 2^-126; relative error 7.5e-8 and rounding. Cheaper than
/// Exp2OfNonPositive, which also gives exact zeros and ones. Operation by operation over all of
/// them: one by one each would wait for the one before, longer than the processor looks ahead.
template <int kCount>
HWY_INLINE void WeightsOf(D d, V (&x)[kCount]) {
  static constexpr float kExp2[] = {1.00000012F,   0.693146944F,   0.240221202F,
                                    0.0555071309F, 0.00967554096F, 0.00132764725F};
  const hn::RebindToSigned<D> di;
  const V rounder = hn::Set(d, kRounder);
  V shifted[kCount], power[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) x[i] = hn::Max(hn::Set(d, -126.0F), x[i]);
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) shifted[i] = hn::Add(x[i], rounder);
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) x[i] = hn::Sub(x[i], hn::Sub(shifted[i], rounder));
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) power[i] = hn::Set(d, kExp2[5]);
#pragma GCC unroll 5
  for (int term = 4; term >= 0; --term) {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) power[i] = hn::MulAdd(power[i], x[i], hn::Set(d, kExp2[term]));
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted[i]));
    x[i] = hn::BitCast(d, hn::Add(hn::BitCast(di, power[i]), exponent));
  }
}

void Soften(float* scores, int64_t rows, float factor, const float* block_top, float* top,
            float* total, float* rescale) {
  const D d;
  const V scale = hn::Set(d, factor);
  V tops[kVectors], sums[kVectors];
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) {
    const V before = hn::Load(d, top + v * kLanes);
    tops[v] = hn::Max(before, hn::Load(d, block_top + v * kLanes));
    const V lost = Exp2OfNonPositive(d, hn::Mul(hn::Sub(before, tops[v]), scale));
    hn::Store(tops[v], d, top + v * kLanes);
    hn::Store(lost, d, rescale + v * kLanes);
    sums[v] = hn::Mul(hn::Load(d, total + v * kLanes), lost);
  }
  for (int64_t row = 0; row < rows; row += 2) {
    float* at = scores + row * kWidth;
    constexpr int64_t kTwoRows = int64_t{2} * kVectors;
    V weights[kTwoRows];
    // The difference first: the product of a huge score would not be exact enough.
#pragma GCC unroll 4
    for (int64_t i = 0; i < kTwoRows; ++i)
      weights[i] = hn::Sub(hn::Load(d, at + i * kLanes), tops[i % kVectors]);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kTwoRows; ++i) weights[i] = hn::Mul(weights[i], scale);
    WeightsOf(d, weights);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kTwoRows; ++i) {
      hn::Store(weights[i], d, at + i * kLanes);
      sums[i % kVectors] = hn::Add(sums[i % kVectors], weights[i]);
    }
  }
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) hn::Store(sums[v], d, total + v * kLanes);
}

void MaskFuture(float* scores, int64_t rows, int64_t ahead, float* top) {
  const D d;
  const V masked = hn::Set(d, kMaskedScore);
  for (int64_t c = 0; c < kWidth; c += kLanes) {
    const V columns = hn::Iota(d, static_cast<float>(c));
    V best = masked;
    for (int64_t r = 0; r < rows; ++r) {
      float* at = scores + r * kWidth + c;
      const auto seen = hn::Ge(columns, hn::Set(d, static_cast<float>(r + ahead)));
      const V score = hn::IfThenElse(seen, hn::Load(d, at), masked);
      hn::Store(score, d, at);
      best = hn::Max(best, score);
    }
    hn::Store(best, d, top + c);
  }
}

void PackTokens(const AttentionHead& head, int64_t first, int64_t columns, float* out) {
  float blocks[4][kMaxHeadSize];
  // Fours of columns from the last one on: where it is not whole, the others cover what it spills.
  for (int64_t column = (columns - 1) / 4 * 4; column >= 0; column -= 4) {
    const float* rows[4];
    for (int64_t j = 0; j < 4; ++j) {
      const int64_t token = std::min({first + column + j, first + columns - 1, head.tokens - 1});
      rows[j] = read_f32(head.at(token), head.size, blocks[j]);
    }
    TransposeFour(rows, head.size, out + column, columns);
  }
}

void PackValues(const AttentionHead& head, int64_t first, int64_t keys, int64_t rows, float* out) {
  float block[kMaxHeadSize + kUnit] = {};
  for (int64_t k = 0; k < keys; ++k) {
    const float* token = read_f32(head.at(std::min(first + k, head.tokens - 1)), head.size, block);
    if (token != block && head.size < rows)
      token = std::copy_n(token, head.size, block) - head.size;
    for_each_panel(rows, kUnit, [&](int64_t row, int64_t units) {
      float* to = out + row * keys + k * units * kUnit;
      for (int64_t i = 0; i < units * kUnit; i += 2) std::memcpy(to + i, token + row + i, 8);
    });
  }
}

void Write(float* sums, const float* total, int64_t first, int64_t count,
           const AttentionHead& head) {
  const D d;
  const V factors[kVectors] = {hn::Div(hn::Set(d, 1), hn::Load(d, total)),
                               hn::Div(hn::Set(d, 1), hn::Load(d, total + kLanes))};
  constexpr int64_t kRows = 64;  // turned at a time
  HWY_ALIGN float turned[kWidth][kRows];
  for (int64_t row = 0; row < head.size; row += kRows) {
    const int64_t rows = std::min(kRows, head.size - row);
    for (int64_t r = row; r < row + rows; ++r) {
      for (int64_t v = 0; v < kVectors; ++v) {
        float* at = sums + r * kWidth + v * kLanes;
        hn::Store(hn::Mul(hn::Load(d, at), factors[v]), d, at);
      }
    }
    for (int64_t r = 0; r < rows; r += 4) {
      const float* four[4];
      for (int64_t j = 0; j < 4; ++j)
        four[j] = sums + std::min(row + r + j, head.size - 1) * kWidth;
      TransposeFour(four, kWidth, turned[0] + r, kRows);
    }
    for (int64_t i = 0; i < count; ++i) {
      const Buffer to = head.at(first + i).at(row);
      float* place = target_f32(to, turned[i]);
      if (place != turned[i]) std::copy_n(turned[i], rows, place);
      write_f32(to, rows, place);
    }
  }
}

const AttentionMath& MathOfTarget() {
  static constexpr AttentionMath kMath = {
      .width = kWidth,
      .unit = kUnit,
      .pair = 1,
      .pack_tokens = PackTokens,
      .pack_values = PackValues,
      .scores = {ScoresOfPanel<kUnit>, ScoresOfPanel<2 * kUnit>, ScoresOfPanel<3 * kUnit>},
      .mask_future = MaskFuture,
      .soften = Soften,
      .weigh = {WeighPanel<kUnit>, WeighPanel<2 * kUnit>, WeighPanel<3 * kUnit>},
      .write = Write};
  return kMath;
}

}  // namespace
}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace safelight::engine::cpu {

HWY_EXPORT(MathOfTarget);

const AttentionMath& attention_math_f32() { return HWY_DYNAMIC_DISPATCH(MathOfTarget)(); }

}  // namespace safelight::engine::cpu
#endif  // HWY_ONCE
