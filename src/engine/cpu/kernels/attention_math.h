#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/cpu/kernels/buffer.h"

namespace safelight::engine::cpu {

/// One head of one batch entry of an operand of attention.
struct AttentionHead {
  Buffer buffer;       ///< of token 0
  int64_t token = 0;   ///< elements from token to token
  int64_t size = 0;    ///< elements of a token
  int64_t tokens = 0;  ///< tokens there are

  Buffer at(int64_t index) const { return buffer.at(index * token); }
};

/// A score that counts for nothing: finite, so that differences of two remain numbers.
constexpr float kMaskedScore = -1e30F;
constexpr int64_t kMaxHeadSize = 512;

/// What attention computes on tiles, in one kind of arithmetic on one instruction set. Queries lie
/// across the lanes of vectors and everything else down the rows, so that maxima, sums and weights
/// of a query need no step across lanes, and no head size leaves lanes empty. A tile has `width`
/// queries, two vectors. The left operands of both products (keys; values) are packed in panels of
/// one to three `unit`s of rows (for_each_panel), each a dense [depth][rows], and the right ones
/// (queries; weights) as [depth][width]. An element there is a word of four bytes: a float32, or a
/// `pair` of bf16 that are neighbours in depth.
struct AttentionMath {
  int64_t width = 0;  ///< queries of a tile
  int64_t unit = 0;   ///< rows, a multiple of two
  int64_t pair = 1;   ///< elements of a word

  /// The `columns` tokens from `first` on as columns: out[words of a token][columns]. Tokens after
  /// the last repeat it. May write two words past the end.
  void (*pack_tokens)(const AttentionHead& head, int64_t first, int64_t columns,
                      float* out) = nullptr;
  /// Panels of the elements [0, rows) of a token, those past its size 0, for `keys` tokens from
  /// `first` on: out[panel][keys / pair][rows of the panel]. Tokens after the last repeat it.
  void (*pack_values)(const AttentionHead& head, int64_t first, int64_t keys, int64_t rows,
                      float* out) = nullptr;
  /// scores[rows][width] = keys * queries; top = max(top, scores). By units of rows, less one.
  using Scores = void(const float* keys, const float* queries, int64_t depth, float* scores,
                      float* top);
  Scores* scores[3] = {};
  /// Masks the score of row r and column c where c < r + ahead; top = the maximum of those left.
  void (*mask_future)(float* scores, int64_t rows, int64_t ahead, float* top) = nullptr;
  /// One more block of scores of the running softmax (Milakov & Gimelshein 2018): scores become the
  /// weights 2^((score - top) * factor), in place, as words [rows / pair][width]; top is raised to
  /// `block_top`; total, the sum of weights so far, follows; rescale = what weights from before
  /// lose.
  void (*soften)(float* scores, int64_t rows, float factor, const float* block_top, float* top,
                 float* total, float* rescale) = nullptr;
  /// sums[rows][width] = sums * rescale + values * weights.
  using Weigh = void(const float* values, const float* weights, int64_t depth, const float* rescale,
                     float* sums);
  Weigh* weigh[3] = {};
  /// Token first + i of head = sums[.][i] / total[i] for i < count. Spoils sums.
  void (*write)(float* sums, const float* total, int64_t first, int64_t count,
                const AttentionHead& head) = nullptr;
};

/// float32 (bf16 is widened), on the Highway target in use.
const AttentionMath& attention_math_f32();
/// Products of bf16 added in float32; needs active_isa() >= kAvx512Bf16 and bf16 operands.
const AttentionMath& attention_math_bf16();

/// Calls body(first row, units of rows) for the panels in which `rows`, whole units, are packed:
/// threes, and twos rather than a lone one, which would leave the multipliers waiting.
template <class Body>
void for_each_panel(int64_t rows, int64_t unit, Body body) {
  for (int64_t first = 0; first < rows;) {
    const int64_t left = (rows - first) / unit;
    const int64_t units = left == 4 ? 2 : std::min<int64_t>(left, 3);
    body(first, units);
    first += units * unit;
  }
}

}  // namespace safelight::engine::cpu
