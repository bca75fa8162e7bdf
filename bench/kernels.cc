// Speed of the CPU engine's own kernels at the shapes of Stable Diffusion 1.5 (512 x 512 pixels,
// batch 2).
//   bench_kernels --benchmark_filter=attention
// OMP_NUM_THREADS sets the threads, SAFELIGHT_MAX_ISA the instruction set. The peaks are what
// attention's operations are to be compared with; the others are bound by memory and report the
// bytes that they must move.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <array>
#include <random>

#include "bench/kernel_bench.h"
#include "bench/peaks.h"
#include "engine/cpu/isa.h"
#include "engine/cpu/kernels/kernels.h"

namespace safelight::bench {
namespace {

using namespace engine::cpu;
using benchmark::Counter;
using benchmark::State;

/// Aligned memory of normally distributed elements.
class Memory {
 public:
  Memory(int64_t elements, Storage storage)
      : data_(allocate(static_cast<size_t>(elements) * storage_size(storage))), storage_(storage) {
    std::minstd_rand generator(1);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < elements; ++i) {
      const float value = normal(generator);
      uint32_t bits;
      __builtin_memcpy(&bits, &value, sizeof bits);
      if (storage == Storage::kF32) {
        reinterpret_cast<float*>(data_.get())[i] = value;
      } else {
        reinterpret_cast<uint16_t*>(data_.get())[i] = static_cast<uint16_t>(bits >> 16);
      }
    }
  }
  Buffer buffer() const { return {data_.get(), storage_}; }
  const float* floats() const { return reinterpret_cast<const float*>(data_.get()); }
  std::byte* data() const { return data_.get(); }

 private:
  Bytes data_;
  Storage storage_;
};

Storage storage_of(int64_t bits) { return bits == 16 ? Storage::kBF16 : Storage::kF32; }

void report_operations(State& state, double operations) {
  state.counters["FLOP/s"] = Counter(operations, Counter::kIsIterationInvariantRate);
}

void report_bytes(State& state, int64_t elements, Storage storage) {
  state.SetBytesProcessed(state.iterations() * elements *
                          static_cast<int64_t>(storage_size(storage)));
}

void bf16_peak(State& state) {
  if (active_isa() < Isa::kAvx512Bf16) return state.SkipWithError("no bf16 dot products in use");
  double operations = 0;
  while (state.KeepRunning()) {
#pragma omp parallel reduction(+ : operations)
    operations += static_cast<double>(run_bf16_loop(1 << 16));
  }
  state.counters["FLOP/s"] = Counter(operations, Counter::kIsRate);
}
BENCHMARK(bf16_peak)->UseRealTime();

/// Arguments: queries, keys, heads, head size, bits an element.
void attention(State& state) {
  const int64_t batch = 2, queries = state.range(0), keys = state.range(1), heads = state.range(2),
                size = state.range(3), width = heads * size;
  const Storage storage = storage_of(state.range(4));
  const Memory q(batch * queries * width, storage), k(batch * keys * width, storage),
      v(batch * keys * width, storage), out(batch * queries * width, storage);
  const auto operand = [&](const Memory& memory, int64_t tokens) {
    return AttentionOperand{memory.buffer(), tokens * width, width, size};
  };
  const Attention args{.q = operand(q, queries),
                       .k = operand(k, keys),
                       .v = operand(v, keys),
                       .out = operand(out, queries),
                       .batch = batch,
                       .heads = heads,
                       .queries = queries,
                       .keys = keys,
                       .head_size = size,
                       .scale = 0.15F};
  const int threads = omp_get_max_threads();
  const Memory scratch(static_cast<int64_t>(attention_scratch(args, threads) / sizeof(float)),
                       Storage::kF32);
  while (state.KeepRunning()) engine::cpu::attention(args, scratch.data(), threads);
  report_operations(state, 4.0 * static_cast<double>(batch * heads * queries * keys * size));
}
void attention_shapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t bits : {32, 16}) {
    for (const auto& [tokens, heads, size] :
         {std::array<int64_t, 3>{4096, 8, 40}, {1024, 8, 80}, {256, 8, 160}, {64, 8, 160}}) {
      bench->Args({tokens, tokens, heads, size, bits});
      bench->Args({tokens, 77, heads, size, bits});
    }
    bench->Args({77, 77, 12, 64, bits});
    bench->Args({4096, 4096, 10, 64, bits});  // SDXL
    bench->Args({4096, 4096, 1, 512, bits});  // the decoder
    bench->Args({1024, 1024, 4, 16, bits});   // the shipped model
    bench->Args({256, 256, 4, 24, bits});
  }
}
BENCHMARK(attention)->UseRealTime()->Unit(benchmark::kMillisecond)->Apply(attention_shapes);

/// Arguments: positions, channels, bits an element. With SiLU, as in a residual block.
void group_norm(State& state) {
  const int64_t batch = 2, positions = state.range(0), channels = state.range(1);
  const Storage storage = storage_of(state.range(2));
  const int64_t elements = batch * positions * channels;
  const Memory x(elements, storage), out(elements, storage), weight(channels, Storage::kF32),
      bias(channels, Storage::kF32);
  const GroupNorm args{.x = x.buffer(),
                       .out = out.buffer(),
                       .weight = weight.floats(),
                       .bias = bias.floats(),
                       .batch = batch,
                       .positions = positions,
                       .channels = channels,
                       .after = {UnaryFunction::kSilu}};
  while (state.KeepRunning()) engine::cpu::group_norm(args);
  report_bytes(state, 3 * elements, storage);
}
BENCHMARK(group_norm)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Args({4096, 320, 32})
    ->Args({4096, 320, 16})
    ->Args({1024, 640, 32})
    ->Args({64, 1280, 32})
    ->Args({64, 2560, 32})
    ->Args({262144, 128, 32})  // the decoder's last blocks
    ->Args({65536, 512, 32});

/// Arguments: rows, columns, bits an element.
void layer_norm(State& state) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const Storage storage = storage_of(state.range(2));
  const Memory x(rows * columns, storage), out(rows * columns, storage),
      weight(columns, Storage::kF32), bias(columns, Storage::kF32);
  while (state.KeepRunning()) {
    engine::cpu::layer_norm({x.buffer(), rows, columns, columns}, weight.floats(), bias.floats(),
                            1e-5F, {out.buffer(), rows, columns, columns});
  }
  report_bytes(state, 2 * rows * columns, storage);
}
BENCHMARK(layer_norm)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({8192, 320, 32})
    ->Args({8192, 320, 16})
    ->Args({2048, 640, 32})
    ->Args({512, 1280, 32})
    ->Args({154, 768, 32});

/// Arguments: rows, columns of the result, bits an element.
void geglu(State& state) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const Storage storage = storage_of(state.range(2));
  const Memory x(rows * columns * 2, storage), out(rows * columns, storage);
  while (state.KeepRunning()) {
    engine::cpu::geglu({x.buffer(), rows, 2 * columns, 2 * columns},
                       {out.buffer(), rows, columns, columns});
  }
  report_bytes(state, 3 * rows * columns, storage);
}
BENCHMARK(geglu)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({8192, 1280, 32})
    ->Args({8192, 1280, 16})
    ->Args({2048, 2560, 32})
    ->Args({512, 5120, 32});

/// Arguments: elements, bits an element. The sum of a residual connection.
void add(State& state) {
  const int64_t elements = state.range(0);
  const Storage storage = storage_of(state.range(1));
  const Memory a(elements, storage), b(elements, storage), out(elements, storage);
  const auto view = [&](const Memory& memory) {
    return StridedView{memory.buffer(), 1, {elements}, {1}};
  };
  while (state.KeepRunning()) binary(BinaryFunction::kAdd, {}, view(a), view(b), view(out));
  report_bytes(state, 3 * elements, storage);
}
BENCHMARK(add)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({2621440, 32})
    ->Args({2621440, 16})
    ->Args({163840, 32});

}  // namespace
}  // namespace safelight::bench
