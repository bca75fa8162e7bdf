#include <omp.h>

#include <algorithm>

#include "engine/cpu/isa.h"
#include "engine/cpu/kernels/attention_math.h"
#include "engine/cpu/kernels/kernels.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kKeyBlock = 128;  // keys whose scores are held at a time: they stay in L1
constexpr int64_t kAlignment = 16;  // of what scratch is cut into, in words

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t rounded_up(int64_t n, int64_t multiple) { return ceil_div(n, multiple) * multiple; }

const AttentionMath& math_of(const Attention& args) {
  for (const AttentionOperand* operand : {&args.q, &args.k, &args.v, &args.out}) {
    if (operand->buffer.storage != Storage::kBF16) return attention_math_f32();
  }
  return active_isa() >= Isa::kAvx512Bf16 ? attention_math_bf16() : attention_math_f32();
}

/// How an attention is cut. Some heads at a time are packed by all threads, then attended to by all
/// threads. A task is a chunk of the queries of a head: some tiles that go through the keys
/// together, block by block. Sizes in words.
struct Cut {
  Cut(const Attention& args, int threads)
      : math(math_of(args)),
        heads(args.batch * args.heads),
        depth(ceil_div(args.head_size, math.pair)),
        rows(rounded_up(args.head_size, math.unit)),
        block(std::min(kKeyBlock, rounded_up(args.keys, math.unit))),
        blocks(ceil_div(args.keys, block)),
        block_values(block * depth),
        block_words(rounded_up(block_values + block / math.pair * rows, kAlignment)) {
    constexpr int64_t kPackedWords = 2 << 20, kStateWords = 64 << 10, kMostTiles = 8;
    // Packed heads stay in the L3 cache; every thread finds work, also where one head is one task.
    const int64_t at_once =
        std::max<int64_t>(kPackedWords / (blocks * block_words), std::min<int64_t>(threads, heads));
    heads_at_once = ceil_div(heads, std::max<int64_t>(1, ceil_div(heads, at_once)));
    // What the tiles of a task keep stays in the L2 cache; several share what is read of the keys.
    const int64_t all_tiles = ceil_div(args.queries, math.width);
    const int64_t tasks_wanted =
        ceil_div(int64_t{4} * threads, std::max<int64_t>(1, heads_at_once));
    tiles = std::clamp<int64_t>(std::min(kStateWords / tile_words(), all_tiles / tasks_wanted), 1,
                                kMostTiles);
    chunks = ceil_div(all_tiles, tiles);
  }

  int64_t tile_words() const { return (depth + rows + 2) * math.width; }
  int64_t state_words() const {
    return rounded_up(tiles * tile_words() + (block + 2) * math.width, kAlignment);
  }
  int64_t head_words() const { return blocks * block_words; }

  const AttentionMath& math;
  int64_t heads;         ///< of all batch entries
  int64_t depth;         ///< words of a query or key
  int64_t rows;          ///< head size in whole units
  int64_t block;         ///< keys of a block; the last may be shorter
  int64_t blocks;        ///< of a head
  int64_t block_values;  ///< where the values start in a packed block
  int64_t block_words;   ///< of a packed block
  int64_t heads_at_once = 1, tiles = 1, chunks = 1;
};

/// A tile of queries on its way through the keys.
struct Tile {
  float* queries;  ///< [depth][width]
  float* sums;     ///< [rows][width], the weighted values so far
  float* top;      ///< [width]
  float* total;    ///< [width]
};

class Attending {
 public:
  Attending(const Attention& args, const Cut& cut, float* state)
      : args_(args),
        cut_(cut),
        math_(cut.math),
        tiles_(state),
        scores_(state + cut.tiles * cut.tile_words()),
        block_top_(scores_ + cut.block * math_.width),
        rescale_(block_top_ + math_.width) {}

  /// Packs one block of the keys and values of a head.
  void pack(int64_t head, int64_t block, float* packed) const {
    const AttentionHead k = head_of(args_.k, head, args_.keys),
                        v = head_of(args_.v, head, args_.keys);
    const int64_t keys = keys_of(block);
    for_each_panel(keys, math_.unit, [&](int64_t first, int64_t units) {
      math_.pack_tokens(k, block * cut_.block + first, units * math_.unit,
                        packed + first * cut_.depth);
    });
    math_.pack_values(v, block * cut_.block, keys, cut_.rows, packed + cut_.block_values);
  }

  /// One chunk of the queries of a head, given its packed blocks.
  void attend(int64_t head, int64_t chunk, const float* packed) const {
    const int64_t first = chunk * cut_.tiles * math_.width;
    const int64_t count = std::min(cut_.tiles * math_.width, args_.queries - first);
    const AttentionHead q = head_of(args_.q, head, args_.queries),
                        out = head_of(args_.out, head, args_.queries);
    const int64_t tiles = ceil_div(count, math_.width);
    for (int64_t t = 0; t < tiles; ++t) start(q, first + t * math_.width, tile(t));
    for (int64_t block = 0; block < cut_.blocks; ++block) {
      for (int64_t t = 0; t < tiles; ++t) {
        if (stopped()) return;
        const int64_t query = first + t * math_.width;
        if (args_.causal && query + math_.width <= block * cut_.block) continue;
        attend_block(tile(t), query, block, packed + block * cut_.block_words);
      }
    }
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t done = t * math_.width;
      math_.write(tile(t).sums, tile(t).total, first + done, std::min(math_.width, count - done),
                  out);
    }
  }

  bool stopped() const { return args_.stop && args_.stop->load(std::memory_order_relaxed); }

 private:
  AttentionHead head_of(const AttentionOperand& operand, int64_t head, int64_t tokens) const {
    const int64_t start = head / args_.heads * operand.batch + head % args_.heads * operand.head;
    return {operand.buffer.at(start), operand.token, args_.head_size, tokens};
  }
  Tile tile(int64_t t) const {
    float* queries = tiles_ + t * cut_.tile_words();
    float* sums = queries + cut_.depth * math_.width;
    float* top = sums + cut_.rows * math_.width;
    return {queries, sums, top, top + math_.width};
  }
  /// Keys of a packed block, in whole units.
  int64_t keys_of(int64_t block) const {
    return std::min(cut_.block, rounded_up(args_.keys - block * cut_.block, math_.unit));
  }

  void start(const AttentionHead& q, int64_t first, const Tile& tile) const {
    math_.pack_tokens(q, first, math_.width, tile.queries);
    std::fill_n(tile.sums, cut_.rows * math_.width, 0.0F);
    std::fill_n(tile.top, math_.width, kMaskedScore);
    std::fill_n(tile.total, math_.width, 0.0F);
  }

  void attend_block(const Tile& tile, int64_t query, int64_t block, const float* packed) const {
    const int64_t keys = keys_of(block), width = math_.width, first_key = block * cut_.block;
    std::fill_n(block_top_, width, kMaskedScore);
    for_each_panel(keys, math_.unit, [&](int64_t first, int64_t units) {
      math_.scores[units - 1](packed + first * cut_.depth, tile.queries, cut_.depth,
                              scores_ + first * width, block_top_);
    });
    // Keys that only fill the last unit: as they repeat the last one, the maximum is right.
    const int64_t real = std::min(keys, args_.keys - first_key);
    std::fill_n(scores_ + real * width, (keys - real) * width, kMaskedScore);
    if (args_.causal && first_key + keys > query + 1)
      math_.mask_future(scores_, keys, first_key - query, block_top_);
    const auto factor = static_cast<float>(args_.scale * 1.4426950408889634);  // 2^, not e^
    math_.soften(scores_, keys, factor, block_top_, tile.top, tile.total, rescale_);
    const int64_t depth = keys / math_.pair;
    for_each_panel(cut_.rows, math_.unit, [&](int64_t first, int64_t units) {
      math_.weigh[units - 1](packed + cut_.block_values + first * depth, scores_, depth, rescale_,
                             tile.sums + first * width);
    });
  }

  const Attention& args_;
  const Cut& cut_;
  const AttentionMath& math_;
  float* tiles_;
  float* scores_;  ///< [block][width]
  float* block_top_;
  float* rescale_;
};

}  // namespace

size_t attention_scratch(const Attention& args, int threads) {
  const Cut cut(args, threads);
  return static_cast<size_t>(cut.heads_at_once * cut.head_words() + threads * cut.state_words()) *
         sizeof(float);
}

void attention(const Attention& args, void* scratch, int threads) {
  const Cut cut(args, threads);
  float* packed = static_cast<float*>(scratch);
  float* states = packed + cut.heads_at_once * cut.head_words();
#pragma omp parallel num_threads(threads) if (cut.heads * cut.chunks > 1)
  {
    const Attending attending(args, cut, states + omp_get_thread_num() * cut.state_words());
    for (int64_t first = 0; first < cut.heads; first += cut.heads_at_once) {
      const int64_t heads = std::min(cut.heads_at_once, cut.heads - first);
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < heads * cut.blocks; ++i) {
        if (!attending.stopped())
          attending.pack(first + i / cut.blocks, i % cut.blocks, packed + i * cut.block_words);
      }
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < heads * cut.chunks; ++i) {
        const int64_t head = i / cut.chunks;
        if (!attending.stopped())
          attending.attend(first + head, i % cut.chunks, packed + head * cut.head_words());
      }
    }
  }
}

}  // namespace safelight::engine::cpu
