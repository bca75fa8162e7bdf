// AttentionMath on the bf16 dot products of AVX-512 (vdpbf16ps), which Highway 1.0.3 has no target
// for: intrinsics, compiled for that instruction set whatever the rest of the program is.
#include <hwy/base.h>

// g++ 12 reports its own _mm512_undefined_ps().
HWY_DIAGNOSTICS(push)
HWY_DIAGNOSTICS_OFF(disable : 4700, ignored "-Wuninitialized")
#include <immintrin.h>
HWY_DIAGNOSTICS(pop)

#include "engine/cpu/kernels/attention_math.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
namespace safelight::engine::cpu {
namespace {

constexpr int64_t kLanes = 16, kVectors = 2, kWidth = kLanes * kVectors;
constexpr int kUnit = 4;

HWY_INLINE __m512bh as_pairs(__m512 words) { return reinterpret_cast<__m512bh>(words); }

HWY_INLINE const uint16_t* halves(Buffer buffer) {
  return reinterpret_cast<const uint16_t*>(buffer.data);
}

HWY_INLINE uint32_t first_bits(int64_t count) {
  return count >= 32 ? 0xFFFFFFFFU : (1U << count) - 1;
}

/// sums[row][column] += the products over `depth` words; left [depth][kRows], right
/// [depth][kWidth].
template <int kRows>
HWY_INLINE void accumulate(const float* left, const float* right, int64_t depth,
                           __m512 (&sums)[kRows][kVectors]) {
  for (int64_t i = 0; i < depth; ++i) {
    const __m512bh right0 = as_pairs(_mm512_load_ps(right));
    const __m512bh right1 = as_pairs(_mm512_load_ps(right + kLanes));
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512bh factor = as_pairs(_mm512_set1_ps(left[r]));
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], factor, right0);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], factor, right1);
    }
    left += kRows;
    right += kWidth;
  }
}

template <int kRows>
void scores_of_panel(const float* keys, const float* queries, int64_t depth, float* scores,
                     float* top) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  accumulate<kRows>(keys, queries, depth, sums);
  __m512 tops[kVectors] = {_mm512_load_ps(top), _mm512_load_ps(top + kLanes)};
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      _mm512_store_ps(scores + r * kWidth + v * kLanes, sums[r][v]);
      tops[v] = _mm512_max_ps(tops[v], sums[r][v]);
    }
  }
  _mm512_store_ps(top, tops[0]);
  _mm512_store_ps(top + kLanes, tops[1]);
}

template <int kRows>
void weigh_panel(const float* values, const float* weights, int64_t depth, const float* rescale,
                 float* sums) {
  const __m512 factors[kVectors] = {_mm512_load_ps(rescale), _mm512_load_ps(rescale + kLanes)};
  __m512 held[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      held[r][v] = _mm512_mul_ps(_mm512_load_ps(sums + r * kWidth + v * kLanes), factors[v]);
    }
  }
  accumulate<kRows>(values, weights, depth, held);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v)
      _mm512_store_ps(sums + r * kWidth + v * kLanes, held[r][v]);
  }
}

/// A polynomial of each x, coefficients from the constant on. Operation by operation over all of
/// them: one by one each would wait for the one before, longer than the processor looks ahead.
template <size_t kCount, size_t kTerms>
HWY_INLINE void polynomials(const __m512 (&x)[kCount], const float (&coefficients)[kTerms],
                            __m512 (&sums)[kCount]) {
#pragma GCC unroll 4
  for (size_t i = 0; i < kCount; ++i) sums[i] = _mm512_set1_ps(coefficients[kTerms - 1]);
#pragma GCC unroll 8
  for (size_t term = 1; term < kTerms; ++term) {
#pragma GCC unroll 4
    for (size_t i = 0; i < kCount; ++i)
      sums[i] = _mm512_fmadd_ps(sums[i], x[i], _mm512_set1_ps(coefficients[kTerms - 1 - term]));
  }
}

/// x = 2^x, whose upper half is that number rounded to bf16 (half up): minimax on [0, 1), relative
/// error 7.5e-5, and half a bf16 step more.
template <size_t kCount>
HWY_INLINE void exp2_for_bf16(__m512 (&x)[kCount]) {
  static constexpr float kExp2[] = {0.999925196F + 1.0F / 256, 0.695833564F, 0.226067156F,
                                    0.0780245215F};
  __m512 rest[kCount], power[kCount];
#pragma GCC unroll 4
  for (size_t i = 0; i < kCount; ++i)
    rest[i] = _mm512_roundscale_ps(x[i], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#pragma GCC unroll 4
  for (size_t i = 0; i < kCount; ++i) rest[i] = _mm512_sub_ps(x[i], rest[i]);
  polynomials(rest, kExp2, power);
#pragma GCC unroll 4
  for (size_t i = 0; i < kCount; ++i) x[i] = _mm512_scalef_ps(power[i], x[i]);
}

/// 2^x: exactly 1 for 0; minimax on [-1/2, 1/2], relative error 4.3e-7.
HWY_INLINE __m512 exp2_f32(__m512 x) {
  static constexpr float kExp2[] = {1.0F,          0.693142831F,   0.240223512F,
                                    0.0555740036F, 0.00966628268F, 0.00111255096F};
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 rest[1] = {_mm512_sub_ps(x, whole)};
  __m512 power[1];
  polynomials(rest, kExp2, power);
  return _mm512_scalef_ps(power[0], whole);
}

void soften(float* scores, int64_t rows, float factor, const float* block_top, float* top,
            float* total, float* rescale) {
  const __m512 scale = _mm512_set1_ps(factor);
  const __m512bh ones = as_pairs(_mm512_castsi512_ps(_mm512_set1_epi32(0x3F803F80)));  // 1, 1
  __m512 tops[kVectors], sums[kVectors];
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) {
    const __m512 before = _mm512_load_ps(top + v * kLanes);
    tops[v] = _mm512_max_ps(before, _mm512_load_ps(block_top + v * kLanes));
    const __m512 lost = exp2_f32(_mm512_mul_ps(_mm512_sub_ps(before, tops[v]), scale));
    _mm512_store_ps(top + v * kLanes, tops[v]);
    _mm512_store_ps(rescale + v * kLanes, lost);
    sums[v] = _mm512_mul_ps(_mm512_load_ps(total + v * kLanes), lost);
  }
  for (int64_t pair = 0; pair < rows / 2; ++pair) {
    const float* from = scores + pair * 2 * kWidth;
    __m512 weights[2 * kVectors];  // of the even row, then of the odd one
    // The difference first: the product of a huge score would not be exact enough.
#pragma GCC unroll 4
    for (int64_t i = 0; i < 2 * kVectors; ++i)
      weights[i] = _mm512_sub_ps(_mm512_load_ps(from + i * kLanes), tops[i % kVectors]);
#pragma GCC unroll 4
    for (int64_t i = 0; i < 2 * kVectors; ++i) weights[i] = _mm512_mul_ps(weights[i], scale);
    exp2_for_bf16(weights);
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      const __m512i even = _mm512_srli_epi32(_mm512_castps_si512(weights[v]), 16);
      const __m512 words = _mm512_castsi512_ps(
          _mm512_mask_mov_epi16(_mm512_castps_si512(weights[kVectors + v]), 0x55555555, even));
      _mm512_store_ps(scores + pair * kWidth + v * kLanes, words);
      // The sum is that of the rounded weights, so that they add to one.
      sums[v] = _mm512_dpbf16_ps(sums[v], as_pairs(words), ones);
    }
  }
#pragma GCC unroll 2
  for (int64_t v = 0; v < kVectors; ++v) _mm512_store_ps(total + v * kLanes, sums[v]);
}

/// A 16 x 16 matrix of words, rows to columns.
HWY_INLINE void transpose(__m512i (&rows)[kLanes]) {
  __m512i pairs[kLanes], fours[kLanes], eights[kLanes];
#pragma GCC unroll 8
  for (int64_t i = 0; i < kLanes; i += 2) {
    pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < kLanes; i += 4) {
    fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
    fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
    fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < 4; ++i) {
    eights[i] = _mm512_shuffle_i32x4(fours[i], fours[i + 4], 0x88);
    eights[i + 4] = _mm512_shuffle_i32x4(fours[i], fours[i + 4], 0xDD);
    eights[i + 8] = _mm512_shuffle_i32x4(fours[i + 8], fours[i + 12], 0x88);
    eights[i + 12] = _mm512_shuffle_i32x4(fours[i + 8], fours[i + 12], 0xDD);
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(eights[i], eights[i + 8], 0x88);
    rows[i + 4] = _mm512_shuffle_i32x4(eights[i + 4], eights[i + 12], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(eights[i], eights[i + 8], 0xDD);
    rows[i + 12] = _mm512_shuffle_i32x4(eights[i + 4], eights[i + 12], 0xDD);
  }
}

void pack_tokens(const AttentionHead& head, int64_t first, int64_t columns, float* out) {
  constexpr int64_t kElements = 2 * kLanes;
  for (int64_t column = 0; column < columns; column += kLanes) {
    const auto stored = static_cast<__mmask16>(first_bits(columns - column));
    const uint16_t* tokens[kLanes];
    for (int64_t i = 0; i < kLanes; ++i)
      tokens[i] = halves(head.at(std::min(first + column + i, head.tokens - 1)));
    for (int64_t element = 0; element < head.size; element += kElements) {
      const __mmask32 there = first_bits(head.size - element);
      __m512i words[kLanes];
#pragma GCC unroll 16
      for (int64_t i = 0; i < kLanes; ++i)
        words[i] = _mm512_maskz_loadu_epi16(there, tokens[i] + element);
      transpose(words);
      const int64_t depth = std::min<int64_t>(kLanes, (head.size - element + 1) / 2);
      float* to = out + element / 2 * columns + column;
      for (int64_t i = 0; i < depth; ++i)
        _mm512_mask_storeu_epi32(to + i * columns, stored, words[i]);
    }
  }
}

void pack_values(const AttentionHead& head, int64_t first, int64_t keys, int64_t rows, float* out) {
  for_each_panel(rows, kUnit, [&](int64_t row, int64_t units) {
    const int64_t panel_rows = units * kUnit;
    const auto there = static_cast<__mmask16>(first_bits(std::min(panel_rows, head.size - row)));
    const auto stored = static_cast<__mmask16>(first_bits(panel_rows));
    for (int64_t key = first; key < first + keys; key += 2) {
      const __m256i even =
          _mm256_maskz_loadu_epi16(there, halves(head.at(std::min(key, head.tokens - 1))) + row);
      const __m256i odd = _mm256_maskz_loadu_epi16(
          there, halves(head.at(std::min(key + 1, head.tokens - 1))) + row);
      const __m512i words = _mm512_or_si512(_mm512_cvtepu16_epi32(even),
                                            _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
      _mm512_mask_storeu_epi32(out, stored, words);
      out += panel_rows;
    }
  });
}

/// Words of the elements 2i and 2i + 1 of 16 queries, as far as there are rows of sums.
HWY_INLINE __m512i result_words(const float* sums, __m512 factor, int64_t element, int64_t size) {
  const auto rounded = [&](int64_t row) {
    const __m512 value = row < size ? _mm512_mul_ps(_mm512_load_ps(sums + row * kWidth), factor)
                                    : _mm512_setzero_ps();
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
  };
  return _mm512_or_si512(rounded(element), _mm512_slli_epi32(rounded(element + 1), 16));
}

void write(float* sums, const float* total, int64_t first, int64_t count,
           const AttentionHead& head) {
  constexpr int64_t kElements = 2 * kLanes;
  for (int64_t column = 0; column < count; column += kLanes) {
    const __m512 factor = _mm512_div_ps(_mm512_set1_ps(1), _mm512_load_ps(total + column));
    for (int64_t element = 0; element < head.size; element += kElements) {
      __m512i words[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        words[i] = result_words(sums + column, factor, element + 2 * i, head.size);
      transpose(words);
      const __mmask32 there = first_bits(head.size - element);
      for (int64_t i = 0; i < std::min<int64_t>(kLanes, count - column); ++i) {
        auto* to = reinterpret_cast<uint16_t*>(head.at(first + column + i).data);
        _mm512_mask_storeu_epi16(to + element, there, words[i]);
      }
    }
  }
}

}  // namespace

const AttentionMath& attention_math_bf16() {
  static const AttentionMath math = {
      .width = kWidth,
      .unit = kUnit,
      .pair = 2,
      .pack_tokens = pack_tokens,
      .pack_values = pack_values,
      .scores = {scores_of_panel<kUnit>, scores_of_panel<2 * kUnit>, scores_of_panel<3 * kUnit>},
      .mask_future = attention_math_f32().mask_future,
      .soften = soften,
      .weigh = {weigh_panel<kUnit>, weigh_panel<2 * kUnit>, weigh_panel<3 * kUnit>},
      .write = write};
  return math;
}

}  // namespace safelight::engine::cpu
HWY_POP_ATTRIBUTES
