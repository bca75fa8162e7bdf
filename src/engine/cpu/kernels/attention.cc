#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/cpu/kernels/attention.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway demands.
#include "engine/cpu/kernels/vector_math-inl.h"

#ifndef SAFELIGHT_ATTENTION_ONCE
#define SAFELIGHT_ATTENTION_ONCE
namespace safelight::engine::cpu {

/// How one attention is cut. A task is a head and a chunk of its queries; it goes through the keys
/// block by block and keeps, for each query, the running maximum, sum and weighted values (online
/// softmax: Milakov & Gimelshein 2018).
struct AttentionTiles {
  int64_t query_chunk = 0;  ///< queries of a task
  int64_t key_block = 0;    ///< keys packed at a time
  int64_t query_tile = 0;   ///< queries whose scores are held at a time
  int64_t size = 0;         ///< head size rounded up to whole pairs of the widest vectors

  int64_t scratch_floats() const {
    return query_chunk * (2 * size + 2) + 2 * key_block * size + query_tile * key_block;
  }
};

constexpr int64_t kPair = 32;  // columns: two vectors of AVX-512

inline int64_t rounded_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

inline AttentionTiles attention_tiles(const Attention& args, int threads) {
  AttentionTiles tiles;
  tiles.size = rounded_up(args.head_size, kPair);
  tiles.key_block =
      std::min<int64_t>(args.head_size > 128 ? 64 : 128, rounded_up(args.keys, kPair));
  tiles.query_tile = 24;
  // Large chunks pack the keys less often; small ones give every thread work. 64 Ki floats of state
  // stay in the L2 cache.
  int64_t chunk = std::clamp<int64_t>(65536 / tiles.size, tiles.query_tile, 1024);
  const int64_t heads = std::max<int64_t>(1, args.batch * args.heads);
  const int64_t chunks_wanted = (threads + heads - 1) / heads;
  chunk = std::min(chunk, (args.queries + chunks_wanted - 1) / chunks_wanted);
  tiles.query_chunk = rounded_up(std::max<int64_t>(chunk, 1), tiles.query_tile);
  return tiles;
}

}  // namespace safelight::engine::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

#if HWY_TARGET <= HWY_AVX3
constexpr int kMaxTileRows = 12;  // 24 accumulators of 32 registers
#else
constexpr int kMaxTileRows = 6;  // 12 accumulators of 16 registers
#endif

/// c[kRows][two vectors] (+)= a[kRows][k] * b[k][two vectors]
template <int kRows>
HWY_INLINE void MultiplyTile(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                             float* c, int64_t c_stride, int64_t k, bool add) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V left[kRows], right[kRows];
  for (int r = 0; r < kRows; ++r) {
    left[r] = add ? hn::Load(d, c + r * c_stride) : hn::Zero(d);
    right[r] = add ? hn::Load(d, c + r * c_stride + lanes) : hn::Zero(d);
  }
  for (int64_t i = 0; i < k; ++i) {
    const V b0 = hn::Load(d, b + i * b_stride), b1 = hn::Load(d, b + i * b_stride + lanes);
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(d, a[r * a_stride + i]);
      left[r] = hn::MulAdd(factor, b0, left[r]);
      right[r] = hn::MulAdd(factor, b1, right[r]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    hn::Store(left[r], d, c + r * c_stride);
    hn::Store(right[r], d, c + r * c_stride + lanes);
  }
}

template <int kRows>
HWY_INLINE void MultiplyRows(int64_t rows, const float* a, int64_t a_stride, const float* b,
                             int64_t b_stride, float* c, int64_t c_stride, int64_t k, bool add) {
  if (rows == kRows) return MultiplyTile<kRows>(a, a_stride, b, b_stride, c, c_stride, k, add);
  if constexpr (kRows > 1)
    MultiplyRows<kRows - 1>(rows, a, a_stride, b, b_stride, c, c_stride, k, add);
}

/// c[rows][columns] (+)= a[rows][k] * b[k][columns]; columns a multiple of two vectors, all of b
/// and c aligned.
HWY_INLINE void Multiply(int64_t rows, int64_t columns, int64_t k, const float* a, int64_t a_stride,
                         const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add) {
  const auto pair = static_cast<int64_t>(2 * hn::Lanes(D()));
  for (int64_t column = 0; column < columns; column += pair) {
    for (int64_t row = 0; row < rows; row += kMaxTileRows) {
      MultiplyRows<kMaxTileRows>(std::min<int64_t>(kMaxTileRows, rows - row), a + row * a_stride,
                                 a_stride, b + column, b_stride, c + row * c_stride + column,
                                 c_stride, k, add);
    }
  }
}

/// scores -> exp(scores - top) over `valid` columns, 0 beyond; gives the sum.
HWY_INLINE float ExpRow(float* scores, int64_t valid, int64_t columns, float top) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const V shift = hn::Set(d, top), low = hn::Set(d, -100.0F),
          limit = hn::Set(d, static_cast<float>(valid));
  V total = hn::Zero(d);
  for (int64_t c = 0; c < columns; c += lanes) {
    const V index = hn::Iota(d, static_cast<float>(c));
    const V power = hn::Exp(d, hn::Max(hn::Sub(hn::Load(d, scores + c), shift), low));
    const V kept = hn::IfThenElseZero(hn::Lt(index, limit), power);
    hn::Store(kept, d, scores + c);
    total = hn::Add(total, kept);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

HWY_INLINE float MaxOf(const float* scores, int64_t valid) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V top = hn::Set(d, scores[0]);
  int64_t c = 0;
  for (; c + lanes <= valid; c += lanes) top = hn::Max(top, hn::Load(d, scores + c));
  float result = hn::GetLane(hn::MaxOfLanes(d, top));
  for (; c < valid; ++c) result = std::max(result, scores[c]);
  return result;
}

HWY_INLINE void ScaleRow(float* row, int64_t n, float factor) {
  const D d;
  const V f = hn::Set(d, factor);
  for (int64_t i = 0; i < n; i += static_cast<int64_t>(hn::Lanes(d)))
    hn::Store(hn::Mul(hn::Load(d, row + i), f), d, row + i);
}

/// The memory of one task.
struct State {
  float* queries;  ///< [query_chunk, size], scaled
  float* values;   ///< [query_chunk, size], the weighted values so far
  float* top;      ///< [query_chunk]
  float* total;    ///< [query_chunk]
  float* keys;     ///< [size, key_block], transposed
  float* rows;     ///< [key_block, size], the block of v
  float* scores;   ///< [query_tile, key_block]
};

State Carve(float* scratch, const AttentionTiles& tiles) {
  State s{};
  s.queries = scratch;
  s.values = s.queries + tiles.query_chunk * tiles.size;
  s.keys = s.values + tiles.query_chunk * tiles.size;
  s.rows = s.keys + tiles.key_block * tiles.size;
  s.scores = s.rows + tiles.key_block * tiles.size;
  s.top = s.scores + tiles.query_tile * tiles.key_block;
  s.total = s.top + tiles.query_chunk;
  return s;
}

/// Row `token` of an operand's head as float32 into out[size], zero behind the head.
HWY_INLINE void ReadHead(const AttentionOperand& operand, int64_t batch, int64_t head,
                         int64_t token, int64_t head_size, int64_t size, float* out) {
  const Buffer from =
      operand.buffer.at(batch * operand.batch + head * operand.head + token * operand.token);
  const float* read = read_f32(from, head_size, out);
  if (read != out) std::copy_n(read, head_size, out);
  std::fill(out + head_size, out + size, 0.0F);
}

/// One key block for a tile of queries: scores, softmax so far, weighted values.
HWY_INLINE void Attend(const Attention& args, const AttentionTiles& tiles, const State& s,
                       int64_t first_query, int64_t query, int64_t rows, int64_t first_key,
                       int64_t keys) {
  const int64_t columns = rounded_up(keys, kPair);
  Multiply(rows, columns, args.head_size, s.queries + query * tiles.size, tiles.size, s.keys,
           tiles.key_block, s.scores, tiles.key_block, false);
  for (int64_t r = 0; r < rows; ++r) {
    float* scores = s.scores + r * tiles.key_block;
    const int64_t q = query + r;
    const int64_t valid =
        args.causal ? std::clamp<int64_t>(first_query + q + 1 - first_key, 0, keys) : keys;
    if (valid == 0) {
      std::fill_n(scores, columns, 0.0F);
      continue;
    }
    const float top = std::max(s.top[q], MaxOf(scores, valid));
    if (top > s.top[q]) {
      const float factor = std::exp(s.top[q] - top);
      s.total[q] *= factor;
      ScaleRow(s.values + q * tiles.size, tiles.size, factor);
      s.top[q] = top;
    }
    s.total[q] += ExpRow(scores, valid, columns, top);
  }
  Multiply(rows, tiles.size, keys, s.scores, tiles.key_block, s.rows, tiles.size,
           s.values + query * tiles.size, tiles.size, true);
}

void AttendTask(const Attention& args, const AttentionTiles& tiles, int64_t batch, int64_t head,
                int64_t first_query, float* scratch) {
  const State s = Carve(scratch, tiles);
  const int64_t queries = std::min(tiles.query_chunk, args.queries - first_query);
  for (int64_t q = 0; q < queries; ++q) {
    float* row = s.queries + q * tiles.size;
    ReadHead(args.q, batch, head, first_query + q, args.head_size, tiles.size, row);
    ScaleRow(row, tiles.size, args.scale);
  }
  std::fill_n(s.values, queries * tiles.size, 0.0F);
  std::fill_n(s.top, queries, -std::numeric_limits<float>::infinity());
  std::fill_n(s.total, queries, 0.0F);
  const int64_t last_key = args.causal ? std::min(args.keys, first_query + queries) : args.keys;
  for (int64_t first_key = 0; first_key < last_key; first_key += tiles.key_block) {
    const int64_t keys = std::min(tiles.key_block, last_key - first_key);
    for (int64_t k = 0; k < rounded_up(keys, kPair); ++k) {
      float* row = s.rows + k * tiles.size;
      if (k < keys) {
        ReadHead(args.k, batch, head, first_key + k, args.head_size, tiles.size, row);
      } else {
        std::fill_n(row, args.head_size, 0.0F);
      }
      for (int64_t i = 0; i < args.head_size; ++i) s.keys[i * tiles.key_block + k] = row[i];
    }
    for (int64_t k = 0; k < keys; ++k) {
      ReadHead(args.v, batch, head, first_key + k, args.head_size, tiles.size,
               s.rows + k * tiles.size);
    }
    for (int64_t q = 0; q < queries; q += tiles.query_tile) {
      if (args.causal && first_query + std::min(q + tiles.query_tile, queries) <= first_key)
        continue;
      Attend(args, tiles, s, first_query, q, std::min(tiles.query_tile, queries - q), first_key,
             keys);
    }
  }
  for (int64_t q = 0; q < queries; ++q) {
    float* row = s.values + q * tiles.size;
    ScaleRow(row, tiles.size, 1 / s.total[q]);
    const Buffer to = args.out.buffer.at(batch * args.out.batch + head * args.out.head +
                                         (first_query + q) * args.out.token);
    if (to.storage == Storage::kF32) {
      std::copy_n(row, args.head_size, reinterpret_cast<float*>(to.data));
    } else {
      narrow(row, reinterpret_cast<uint16_t*>(to.data), args.head_size);
    }
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <omp.h>

namespace safelight::engine::cpu {

HWY_EXPORT(AttendTask);

size_t attention_scratch(const Attention& args, int threads) {
  const int64_t floats = rounded_up(attention_tiles(args, threads).scratch_floats(), 16);
  return static_cast<size_t>(threads) * static_cast<size_t>(floats) * sizeof(float);
}

void attention(const Attention& args, void* scratch, int threads) {
  const AttentionTiles tiles = attention_tiles(args, threads);
  const int64_t chunks = (args.queries + tiles.query_chunk - 1) / tiles.query_chunk;
  const int64_t tasks = args.batch * args.heads * chunks,
                stride = rounded_up(tiles.scratch_floats(), 16);
#pragma omp parallel for schedule(dynamic, 1) \
    num_threads(static_cast <int>(std::min <int64_t>(threads, tasks)))
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t head = task / chunks;
    HWY_DYNAMIC_DISPATCH(AttendTask)
    (args, tiles, head / args.heads, head % args.heads, task % chunks * tiles.query_chunk,
     static_cast<float*>(scratch) + omp_get_thread_num() * stride);
  }
}

}  // namespace safelight::engine::cpu
#endif  // HWY_ONCE
