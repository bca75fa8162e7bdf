// Attention against a plain softmax of all scores in double.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <new>
#include <thread>

#include "kernels_support.h"

namespace safelight::engine::cpu {
namespace {

struct Sizes {
  int64_t batch, heads, queries, keys, head_size;
  bool causal = false;
};

struct Free {
  void operator()(std::byte* data) const { ::operator delete[](data, std::align_val_t{64}); }
};

void run(const Attention& args) {
  const int threads = omp_get_max_threads();
  const size_t bytes = attention_scratch(args, threads);
  const std::unique_ptr<std::byte, Free> scratch(
      static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
  // What the scratch held before is of no account: 0xFF.. is NaN.
  std::fill_n(scratch.get(), bytes, std::byte{0xFF});
  attention(args, scratch.get(), threads);
}

/// Random operands, heads side by side in a token, tokens with gaps between them.
struct AttentionCase {
  Sizes sizes;
  int64_t gap;
  Array q, k, v, out;
  Attention args;

  AttentionCase(Trial& t, const Sizes& chosen, float deviation)
      : sizes(chosen),
        gap(t.between(0, 5)),
        q(t.input(elements(sizes.queries), deviation)),
        k(t.input(elements(sizes.keys), deviation)),
        v(t.input(elements(sizes.keys))),
        out(t.output(elements(sizes.queries))) {
    args = {.q = operand(q, sizes.queries),
            .k = operand(k, sizes.keys),
            .v = operand(v, sizes.keys),
            .out = operand(out, sizes.queries),
            .batch = sizes.batch,
            .heads = sizes.heads,
            .queries = sizes.queries,
            .keys = sizes.keys,
            .head_size = sizes.head_size,
            .scale = 1 / std::sqrt(static_cast<float>(sizes.head_size)),
            .causal = sizes.causal};
  }

  int64_t token() const { return sizes.heads * sizes.head_size + gap; }
  int64_t elements(int64_t tokens) const { return sizes.batch * tokens * token(); }
  AttentionOperand operand(Array& array, int64_t tokens) const {
    return {array.buffer(), tokens * token(), token(), sizes.head_size};
  }
  int64_t at(int64_t b, int64_t tokens, int64_t i, int64_t h) const {
    return (b * tokens + i) * token() + h * sizes.head_size;
  }

  std::vector<double> expected() const {
    std::vector<double> want = out.values();
    for (int64_t b = 0; b < sizes.batch; ++b) {
      for (int64_t h = 0; h < sizes.heads; ++h) {
        for (int64_t i = 0; i < sizes.queries; ++i)
          expect_row(b, h, i, &want[at(b, sizes.queries, i, h)]);
      }
    }
    return want;
  }

  void expect_row(int64_t b, int64_t h, int64_t i, double* row) const {
    const int64_t keys = sizes.causal ? std::min(i + 1, sizes.keys) : sizes.keys;
    std::vector<double> scores(keys);
    for (int64_t j = 0; j < keys; ++j) {
      for (int64_t d = 0; d < sizes.head_size; ++d) {
        scores[j] += double{q[at(b, sizes.queries, i, h) + d]} * k[at(b, sizes.keys, j, h) + d];
      }
      scores[j] *= args.scale;
    }
    const double top = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (double& score : scores) total += score = std::exp(score - top);
    for (int64_t d = 0; d < sizes.head_size; ++d) {
      row[d] = 0;
      for (int64_t j = 0; j < keys; ++j)
        row[d] += scores[j] / total * v[at(b, sizes.keys, j, h) + d];
    }
  }
};

void check(Trial& t, const Sizes& sizes, float deviation = 1) {
  SCOPED_TRACE(::testing::Message()
               << "batch " << sizes.batch << ", heads " << sizes.heads << ", queries "
               << sizes.queries << ", keys " << sizes.keys << ", head size " << sizes.head_size
               << (sizes.causal ? ", causal" : ""));
  AttentionCase s(t, sizes, deviation);
  const std::vector<double> want = s.expected();
  run(s.args);
  t.expect_close(s.out, want);
}

TEST(AttentionKernel, RandomShapes) {
  for_trials(36, [](Trial& t) {
    check(t, {t.between(1, 3), t.between(1, 4), t.between(1, 80), t.between(1, 300),
              t.between(1, 70)});
  });
}

TEST(AttentionKernel, Causal) {
  for_trials(12, [](Trial& t) {
    const int64_t tokens = t.between(1, 280);
    check(t, {t.between(1, 2), t.between(1, 3), tokens, tokens, t.between(1, 66), true});
  });
}

TEST(AttentionKernel, ShapesOfStableDiffusion) {
  for_trials(1, [](Trial& t) {
    check(t, {1, 2, 300, 600, 40});
    check(t, {2, 2, 64, 64, 160});
    check(t, {1, 2, 256, 77, 80});
    check(t, {1, 3, 77, 77, 64, true});
    check(t, {1, 1, 100, 200, 512});
  });
}

// Every head size to 160, so that every cut into panels occurs, also with an odd number of tokens.
TEST(AttentionKernel, EveryHeadSize) {
  for (const Storage storage : {Storage::kF32, Storage::kBF16}) {
    for (int64_t size = 1; size <= 160; ++size) {
      Trial t(static_cast<uint32_t>(size), storage, storage);
      check(t, {1, 1, t.between(1, 40), t.between(1, 150), size, false});
    }
  }
}

// More than is packed at a time.
TEST(AttentionKernel, HeadsInWaves) {
  for_trials(1, [](Trial& t) { check(t, {1, 3, 5, 9000, 128}); });
}

// Chunks of queries of every size from many to few threads.
TEST(AttentionKernel, ManyQueriesOfOneHead) {
  for_trials(3, [](Trial& t) { check(t, {1, 1, 2300, 40, 8}); });
}

// Scores of some hundreds: without the running maximum exp would overflow, and a late key can
// outweigh all before.
TEST(AttentionKernel, LargeScores) {
  for_trials(3, [](Trial& t) { check(t, {1, 1, 30, 400, 16}, 5); });
}

// One key takes all, by so much that float32 cannot tell the others from nothing.
TEST(AttentionKernel, HugeScores) {
  for (const Storage storage : {Storage::kF32, Storage::kBF16}) {
    for (const float size : {1e3F, 1e8F}) {
      Trial t(1, storage, storage);
      AttentionCase s(t, {1, 1, 40, 300, 40}, size);
      const std::vector<double> want = s.expected();
      run(s.args);
      t.expect_close(s.out, want);
    }
  }
}

TEST(AttentionKernel, AllScoresFarBelowZero) {
  Trial t(1, Storage::kF32, Storage::kF32);
  AttentionCase s(t, {1, 1, 25, 70, 8}, 1);
  for (int64_t i = 0; i < s.q.size(); ++i) s.q.set(i, -60 - static_cast<float>(i % 3));
  for (int64_t i = 0; i < s.k.size(); ++i) s.k.set(i, 3);
  const std::vector<double> want = s.expected();
  run(s.args);
  t.expect_close(s.out, want);
}

TEST(AttentionKernel, NaNOfAKeySpoilsItsHeadOnly) {
  for (const Storage storage : {Storage::kF32, Storage::kBF16}) {
    Trial t(1, storage, storage);
    AttentionCase s(t, {1, 2, 30, 150, 12}, 1);
    s.k.set(s.at(0, 150, 140, 1) + 3, std::numeric_limits<float>::quiet_NaN());
    run(s.args);
    for (int64_t i = 0; i < 30; ++i) {
      for (int64_t d = 0; d < 12; ++d) {
        EXPECT_FALSE(std::isnan(s.out[s.at(0, 30, i, 0) + d]));
        EXPECT_TRUE(std::isnan(s.out[s.at(0, 30, i, 1) + d]));
      }
    }
  }
}

TEST(AttentionKernel, StopEndsItEarly) {
  for (const Storage storage : {Storage::kF32, Storage::kBF16}) {
    Trial t(1, storage, storage);
    constexpr int64_t kQueries = 200'000, kKeys = 65'536, kSize = 16;  // 840 GFLOP
    Array same = t.input(kSize), out = t.output(kQueries * kSize);
    const AttentionOperand tokens{same.buffer(), 0, 0, 0};
    const float untouched = out[0];
    std::atomic<bool> stop = false;
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      stop = true;
    });
    run({.q = tokens,
         .k = tokens,
         .v = tokens,
         .out = {out.buffer(), 0, kSize, 0},
         .batch = 1,
         .heads = 1,
         .queries = kQueries,
         .keys = kKeys,
         .head_size = kSize,
         .stop = &stop});
    other.join();
    EXPECT_EQ(out[out.size() - 1], untouched);
  }
}

}  // namespace
}  // namespace safelight::engine::cpu
