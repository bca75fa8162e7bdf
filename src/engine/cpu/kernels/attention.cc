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
#include "engine/cpu/kernels/tile_product-inl.h"
#include "engine/cpu/kernels/vector_math-inl.h"

#ifndef SAFELIGHT_ATTENTION_ONCE
#define SAFELIGHT_ATTENTION_ONCE
namespace safelight::engine::cpu {

constexpr int64_t kQueryTile = 24;     // queries whose scores are held at a time
constexpr int64_t kMaxKeyBlock = 128;  // keys packed at a time; the scores of a tile stay in L1
constexpr int64_t kMaxHeadSize = 512;
constexpr int64_t kWidestVector = 16;

inline int64_t rounded_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// How one attention is cut. A task is a head and a chunk of its queries; it goes through the keys
/// block by block and keeps, for each query, the running maximum, sum and weighted values (online
/// softmax: Milakov & Gimelshein 2018).
struct AttentionTiles {
  int64_t query_chunk = 0;  ///< queries of a task, whole tiles
  int64_t key_block = 0;    ///< keys packed at a time
  int64_t size = 0;         ///< head size rounded up to whole vectors

  int64_t scratch_floats() const {
    return query_chunk * (2 * size + 2) + 2 * key_block * size + kQueryTile * kMaxKeyBlock;
  }
};

inline AttentionTiles attention_tiles(const Attention& args, int threads) {
  constexpr int64_t kStateFloats = 262144;  // of a task: what tiles stream from the L2 or L3 cache
  constexpr int64_t kLargeChunk = 1008, kSmallChunk = 240;
  AttentionTiles tiles;
  tiles.size = rounded_up(args.head_size, kWidestVector);
  // Packed keys and values stay in the L2 cache.
  tiles.key_block = std::min(args.head_size > 256 ? kMaxKeyBlock / 2 : kMaxKeyBlock,
                             rounded_up(args.keys, kWidestVector));
  // Large chunks pack the keys less often; small ones give every thread work, and several pieces of
  // it while packing remains cheap.
  const int64_t limit = std::clamp(kStateFloats / (2 * tiles.size), kSmallChunk, kLargeChunk);
  const int64_t heads = std::max<int64_t>(1, args.batch * args.heads);
  const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t shared = std::max(
      ceil_div(threads, heads), std::min(ceil_div(4 * threads, heads), args.queries / kSmallChunk));
  const int64_t chunks = std::max(shared, ceil_div(args.queries, limit));
  tiles.query_chunk = rounded_up(std::max<int64_t>(1, ceil_div(args.queries, chunks)), kQueryTile);
  return tiles;
}

}  // namespace safelight::engine::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

constexpr int64_t kLanes = hn::MaxLanes(D());

/// The memory of one task.
struct State {
  float* queries;  ///< [tiles][head size][kQueryTile], scaled
  float* values;   ///< [query_chunk][size], the weighted values so far
  float* keys;     ///< the key block as panels of a right operand [head size][keys]
  float* rows;     ///< the block of v as panels of a right operand [keys][size]
  float* scores;   ///< [kQueryTile][kMaxKeyBlock]
  float* top;      ///< [query_chunk]
  float* total;    ///< [query_chunk]
};

State Carve(float* scratch, const AttentionTiles& tiles) {
  State s{};
  s.queries = scratch;
  s.values = s.queries + tiles.query_chunk * tiles.size;
  s.keys = s.values + tiles.query_chunk * tiles.size;
  s.rows = s.keys + tiles.key_block * tiles.size;
  s.scores = s.rows + tiles.key_block * tiles.size;
  s.top = s.scores + kQueryTile * kMaxKeyBlock;
  s.total = s.top + tiles.query_chunk;
  return s;
}

/// One head of one batch entry of an operand.
struct Head {
  Buffer buffer;
  int64_t token = 0, size = 0;

  Head(const AttentionOperand& operand, int64_t batch, int64_t head, int64_t head_size)
      : buffer(operand.buffer.at(batch * operand.batch + head * operand.head)),
        token(operand.token),
        size(head_size) {}
  const float* read(int64_t index, float* block) const {
    return read_f32(buffer.at(index * token), size, block);
  }
};

/// Tokens [first, first + count) times `factor`, as the columns of out[size][width]; zero up to
/// `width`, a multiple of four.
void PackColumns(const Head& head, int64_t first, int64_t count, float factor, float* out,
                 int64_t width) {
  static constexpr float kZeros[kMaxHeadSize] = {};
  float blocks[4][kMaxHeadSize];
  for (int64_t column = 0; column < width; column += 4) {
    const float* rows[4];
    for (int64_t j = 0; j < 4; ++j) {
      rows[j] = column + j < count ? head.read(first + column + j, blocks[j]) : kZeros;
    }
    TransposeFour(rows, head.size, factor, out + column, width);
  }
}

void PackKeys(const Head& head, int64_t first, int64_t count, float* out) {
  ForEachPanel((count + kLanes - 1) / kLanes, [&](int64_t panel, int64_t width) {
    const int64_t column = panel * kLanes;
    PackColumns(head, first + column, count - column, 1, out + column * head.size, width * kLanes);
  });
}

void PackValues(const Head& head, int64_t first, int64_t count, int64_t key_block, float* out) {
  const D d;
  const int64_t vectors = (head.size + kLanes - 1) / kLanes;
  HWY_ALIGN float block[kMaxHeadSize + kWidestVector];
  for (int64_t k = 0; k < count; ++k) {
    const float* row = head.read(first + k, block);
    if (row != block && head.size % kLanes != 0)
      row = std::copy_n(row, head.size, block) - head.size;
    std::fill(block + head.size, block + vectors * kLanes, 0.0F);
    ForEachPanel(vectors, [&](int64_t panel, int64_t width) {
      float* to = out + panel * kLanes * key_block + k * width * kLanes;
      for (int64_t v = 0; v < width; ++v) {
        hn::Store(hn::LoadU(d, row + (panel + v) * kLanes), d, to + v * kLanes);
      }
    });
  }
}

HWY_INLINE float MaxOf(const float* scores, int64_t columns) {
  const D d;
  V top = hn::Load(d, scores);
  for (int64_t c = kLanes; c < columns; c += kLanes) top = hn::Max(top, hn::Load(d, scores + c));
  return hn::GetLane(hn::MaxOfLanes(d, top));
}

/// scores -> 2^(scores - top); gives the sum.
HWY_INLINE float Exp2Row(float* scores, int64_t columns, float top) {
  const D d;
  const V shift = hn::Set(d, top);
  V total = hn::Zero(d);
  for (int64_t c = 0; c < columns; c += kLanes) {
    const V power = Exp2OfNonPositive(d, hn::Sub(hn::Load(d, scores + c), shift));
    hn::Store(power, d, scores + c);
    total = hn::Add(total, power);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

HWY_INLINE void ScaleRow(float* row, int64_t n, float factor) {
  const D d;
  const V f = hn::Set(d, factor);
  for (int64_t i = 0; i < n; i += kLanes) hn::Store(hn::Mul(hn::Load(d, row + i), f), d, row + i);
}

/// The scores of query q with the first `valid` keys of a block become weights; the others 0.
HWY_INLINE void SoftmaxRow(const State& s, int64_t q, int64_t size, float* scores, int64_t valid,
                           int64_t columns) {
  if (valid <= 0) {
    std::fill_n(scores, columns, 0.0F);
    return;
  }
  std::fill(scores + valid, scores + columns, -std::numeric_limits<float>::infinity());
  const float top = std::max(s.top[q], MaxOf(scores, columns));
  if (top > s.top[q]) {
    const float factor = std::exp2(s.top[q] - top);
    s.total[q] *= factor;
    ScaleRow(s.values + q * size, size, factor);
    s.top[q] = top;
  }
  s.total[q] += Exp2Row(scores, columns, top);
}

/// One key block for a tile of queries: scores, softmax so far, weighted values.
void AttendTile(const Attention& args, const AttentionTiles& tiles, const State& s,
                int64_t first_query, int64_t query, int64_t rows, int64_t first_key, int64_t keys) {
  const int64_t vectors = (keys + kLanes - 1) / kLanes;
  Multiply<LeftLayout<1, kQueryTile>>(rows, vectors, args.head_size,
                                      s.queries + query * args.head_size, s.keys, args.head_size,
                                      s.scores, kMaxKeyBlock, false);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t q = query + r;
    const int64_t valid = args.causal ? std::min(keys, first_query + q + 1 - first_key) : keys;
    SoftmaxRow(s, q, tiles.size, s.scores + r * kMaxKeyBlock, valid, vectors * kLanes);
  }
  Multiply<LeftLayout<kMaxKeyBlock, 1>>(rows, (args.head_size + kLanes - 1) / kLanes, keys,
                                        s.scores, s.rows, tiles.key_block,
                                        s.values + query * tiles.size, tiles.size, true);
}

void WriteResult(const Attention& args, const AttentionTiles& tiles, const State& s, int64_t batch,
                 int64_t head, int64_t first_query, int64_t queries) {
  const Buffer out = args.out.buffer.at(batch * args.out.batch + head * args.out.head);
  for (int64_t q = 0; q < queries; ++q) {
    float* row = s.values + q * tiles.size;
    ScaleRow(row, tiles.size, 1 / s.total[q]);
    const Buffer to = out.at((first_query + q) * args.out.token);
    if (to.storage == Storage::kF32) {
      std::copy_n(row, args.head_size, reinterpret_cast<float*>(to.data));
    } else {
      narrow(row, reinterpret_cast<uint16_t*>(to.data), args.head_size);
    }
  }
}

void AttendTask(const Attention& args, const AttentionTiles& tiles, int64_t batch, int64_t head,
                int64_t first_query, float* scratch) {
  const State s = Carve(scratch, tiles);
  const int64_t queries = std::min(tiles.query_chunk, args.queries - first_query);
  const Head q(args.q, batch, head, args.head_size), k(args.k, batch, head, args.head_size),
      v(args.v, batch, head, args.head_size);
  // Scores count in powers of two.
  const auto factor = static_cast<float>(args.scale * 1.4426950408889634);
  for (int64_t query = 0; query < queries; query += kQueryTile) {
    PackColumns(q, first_query + query, std::min(kQueryTile, queries - query), factor,
                s.queries + query * args.head_size, kQueryTile);
  }
  std::fill_n(s.values, tiles.query_chunk * tiles.size, 0.0F);
  std::fill_n(s.top, queries, -std::numeric_limits<float>::infinity());
  std::fill_n(s.total, queries, 0.0F);
  const int64_t last_key = args.causal ? std::min(args.keys, first_query + queries) : args.keys;
  for (int64_t first_key = 0; first_key < last_key; first_key += tiles.key_block) {
    const int64_t keys = std::min(tiles.key_block, last_key - first_key);
    PackKeys(k, first_key, keys, s.keys);
    PackValues(v, first_key, keys, tiles.key_block, s.rows);
    for (int64_t query = 0; query < queries; query += kQueryTile) {
      const int64_t rows = std::min(kQueryTile, queries - query);
      if (args.causal && first_query + query + rows <= first_key) continue;
      AttendTile(args, tiles, s, first_query, query, rows, first_key, keys);
    }
  }
  WriteResult(args, tiles, s, batch, head, first_query, queries);
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <omp.h>

namespace safelight::engine::cpu {

HWY_EXPORT(AttendTask);

size_t attention_scratch(const Attention& args, int threads) {
  const int64_t floats = rounded_up(attention_tiles(args, threads).scratch_floats(), kWidestVector);
  return static_cast<size_t>(threads) * static_cast<size_t>(floats) * sizeof(float);
}

void attention(const Attention& args, void* scratch, int threads) {
  const AttentionTiles tiles = attention_tiles(args, threads);
  const int64_t chunks = (args.queries + tiles.query_chunk - 1) / tiles.query_chunk;
  const int64_t tasks = args.batch * args.heads * chunks,
                stride = rounded_up(tiles.scratch_floats(), kWidestVector);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (tasks > 1)
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t head = task / chunks;
    HWY_DYNAMIC_DISPATCH(AttendTask)
    (args, tiles, head / args.heads, head % args.heads, task % chunks * tiles.query_chunk,
     static_cast<float*>(scratch) + omp_get_thread_num() * stride);
  }
}

}  // namespace safelight::engine::cpu
#endif  // HWY_ONCE
