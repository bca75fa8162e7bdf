// Speed of Winograd's convolution at the shapes of Stable Diffusion 1.5 (512 x 512 pixels), in the
// operations that a direct convolution would need, beside the FMA peak.
//   bench_winograd --benchmark_filter=convolution
// OMP_NUM_THREADS sets the threads, SAFELIGHT_MAX_ISA the instruction set.
#include <benchmark/benchmark.h>
#include <omp.h>

#include "bench/kernel_bench.h"
#include "engine/cpu/kernels/winograd.h"

namespace safelight::bench {
namespace {

using namespace engine::cpu;
using benchmark::Counter;
using benchmark::State;

/// Arguments: batch, height and width, channels in, channels out, bits of a value.
void convolution(State& state) {
  const int64_t batch = state.range(0), size = state.range(1), in = state.range(2),
                out = state.range(3), pixels = batch * size * size;
  const Storage storage = state.range(4) == 16 ? Storage::kBF16 : Storage::kF32;
  const WeightFormat format = WeightFormat::kF16;
  const Bytes x = random_numbers(pixels * in, storage_size(storage)),
              y = random_numbers(pixels * out, storage_size(storage)),
              weight = random_numbers(out * in * 9, 2),
              packed = allocate(packed_winograd_bytes(out, in, format));
  pack_winograd(weight.get(), format, out, in, packed.get());
  Winograd args{.x = {x.get(), storage},
                .out = {y.get(), storage},
                .x_stride = in,
                .out_stride = out,
                .weights = {.packed = packed.get(), .format = format},
                .batch = batch,
                .height = size,
                .width = size,
                .in_channels = in,
                .out_channels = out};
  const int threads = omp_get_max_threads();
  const Bytes scratch = allocate(winograd_scratch(args, threads));
  while (state.KeepRunning()) winograd(args, scratch.get(), threads);
  state.counters["FLOP/s"] =
      Counter(18.0 * static_cast<double>(pixels) * static_cast<double>(in * out),
              Counter::kIsIterationInvariantRate);
}
BENCHMARK(convolution)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->ArgsProduct({{2}, {64}, {320, 640, 960}, {320}, {32, 16}})
    ->ArgsProduct({{2}, {32}, {320, 640, 1280, 1920}, {640}, {32, 16}})
    ->ArgsProduct({{2}, {16}, {640, 1280, 2560}, {1280}, {32, 16}})
    ->ArgsProduct({{2}, {8}, {1280, 2560}, {1280}, {32, 16}})
    ->ArgsProduct({{1}, {64, 128, 256}, {512}, {512}, {32, 16}})
    ->ArgsProduct({{1}, {256}, {256, 512}, {256}, {32, 16}})
    ->ArgsProduct({{1}, {512}, {128, 256}, {128}, {32, 16}});

/// Arguments: channels in, channels out. Rate of the file's bytes.
void pack(State& state) {
  const int64_t in = state.range(0), out = state.range(1);
  const Bytes weight = random_numbers(out * in * 9, 2),
              packed = allocate(packed_winograd_bytes(out, in, WeightFormat::kF16));
  while (state.KeepRunning()) {
    pack_winograd(weight.get(), WeightFormat::kF16, out, in, packed.get());
  }
  state.SetBytesProcessed(state.iterations() * out * in * 18);
}
BENCHMARK(pack)->UseRealTime()->Unit(benchmark::kMillisecond)->Args({320, 320})->Args({1280, 1280});

}  // namespace
}  // namespace safelight::bench
