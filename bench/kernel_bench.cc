#include "bench/kernel_bench.h"

#include <benchmark/benchmark.h>
#include <omp.h>

#include <random>
#include <string>

#include "bench/peaks.h"
#include "engine/cpu/isa.h"

namespace safelight::bench {
namespace {

void fma_peak(benchmark::State& state) {
  double operations = 0;
  while (state.KeepRunning()) {
#pragma omp parallel reduction(+ : operations)
    operations += static_cast<double>(run_fma_loop(1 << 16));
  }
  state.counters["FLOP/s"] = benchmark::Counter(operations, benchmark::Counter::kIsRate);
}
BENCHMARK(fma_peak)->UseRealTime();

}  // namespace

Bytes allocate(size_t bytes) {
  return Bytes(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})));
}

Bytes random_numbers(int64_t count, size_t size) {
  Bytes bytes = allocate(static_cast<size_t>(count) * size);
  std::minstd_rand generator(1);
  for (int64_t i = 0; i < count; ++i) {
    const float value = 1.0F + static_cast<float>(generator() % 1024) / 1024.0F;
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    if (size == 2) bits >>= 16;
    __builtin_memcpy(bytes.get() + static_cast<size_t>(i) * size, &bits, size);
  }
  return bytes;
}

}  // namespace safelight::bench

int main(int argc, char** argv) {
  // Before anything is dispatched: applies the limit.
  benchmark::AddCustomContext(
      "isa", std::string(safelight::engine::cpu::isa_name(safelight::engine::cpu::active_isa())));
  benchmark::AddCustomContext("threads", std::to_string(omp_get_max_threads()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
