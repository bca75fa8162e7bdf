// Speed of products with a weight in 16 bits at the shapes of Stable Diffusion 1.5 (512 x 512
// pixels, batch 2), and of oneDNN's float32 product with a weight packed by itself.
//   bench_gemm --benchmark_filter=own
// OMP_NUM_THREADS sets the threads, SAFELIGHT_MAX_ISA the instruction set.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "bench/kernel_bench.h"
#include "engine/cpu/kernels/gemm.h"

namespace safelight::bench {
namespace {

using namespace engine::cpu;
using benchmark::Counter;
using benchmark::State;

struct Shape {
  int64_t rows, columns, depth;
  explicit Shape(const State& state)
      : rows(state.range(0)), columns(state.range(1)), depth(state.range(2)) {}
};

void report(State& state, const Shape& shape) {
  const double products = static_cast<double>(shape.rows) * static_cast<double>(shape.columns) *
                          static_cast<double>(shape.depth);
  state.counters["FLOP/s"] = Counter(2 * products, Counter::kIsIterationInvariantRate);
  state.counters["weight B/s"] = Counter(static_cast<double>(2 * shape.columns * shape.depth),
                                         Counter::kIsIterationInvariantRate);
}

void own(State& state) {
  const Shape s(state);
  const int threads = omp_get_max_threads();
  const Bytes x = random_numbers(s.rows * s.depth, 4), out = random_numbers(s.rows * s.columns, 4),
              weight = random_numbers(s.columns * s.depth, 2), bias = random_numbers(s.columns, 4);
  const Gemm args{.x = {{x.get(), Storage::kF32}, s.rows, s.depth, s.depth},
                  .out = {{out.get(), Storage::kF32}, s.rows, s.columns, s.columns},
                  .weight = {weight.get(), WeightFormat::kF16, s.columns, s.depth},
                  .bias = reinterpret_cast<const float*>(bias.get())};
  const Bytes scratch = allocate(gemm_scratch(args, threads));
  while (state.KeepRunning()) gemm(args, scratch.get(), threads);
  report(state, s);
}

/// Arguments: channels, filters, height and width, stride. A 3x3 convolution of two images.
void own_convolution(State& state) {
  const int64_t channels = state.range(0), filters = state.range(1), size = state.range(2),
                stride = state.range(3), pixels = 2 * size * size / stride / stride;
  const int threads = omp_get_max_threads();
  const Bytes x = random_numbers(2 * size * size * channels, 4),
              out = random_numbers(pixels * filters, 4),
              weight = random_numbers(filters * channels * 9, 2);
  const Filter filter{.rows = 3,
                      .columns = 3,
                      .height = size,
                      .width = size,
                      .out_height = size / stride,
                      .out_width = size / stride,
                      .stride_y = stride,
                      .stride_x = stride,
                      .top = 1,
                      .left = 1};
  const Gemm args{.x = {{x.get(), Storage::kF32}, 2 * size * size, channels, channels},
                  .out = {{out.get(), Storage::kF32}, pixels, filters, filters},
                  .weight = {weight.get(), WeightFormat::kF16, filters, channels * 9},
                  .filter = filter};
  const Bytes scratch = allocate(gemm_scratch(args, threads));
  while (state.KeepRunning()) gemm(args, scratch.get(), threads);
  state.counters["FLOP/s"] =
      Counter(18.0 * static_cast<double>(pixels * filters) * static_cast<double>(channels),
              Counter::kIsIterationInvariantRate);
}

void onednn(State& state) {
  using dnnl::memory;
  const Shape s(state);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto f32 = memory::data_type::f32;
  const auto ab = memory::format_tag::ab;
  const dnnl::matmul::primitive_desc chosen(
      engine, memory::desc({s.rows, s.depth}, f32, ab),
      memory::desc({s.depth, s.columns}, f32, memory::format_tag::any),
      memory::desc({1, s.columns}, f32, ab), memory::desc({s.rows, s.columns}, f32, ab));
  memory x(chosen.src_desc(), engine), weight(chosen.weights_desc(), engine),
      bias(chosen.bias_desc(), engine), out(chosen.dst_desc(), engine);
  for (const memory* each : {&x, &weight, &bias, &out}) {
    std::fill_n(static_cast<float*>(each->get_data_handle()),
                each->get_desc().get_size() / sizeof(float), 1.5F);
  }
  const dnnl::matmul product(chosen);
  while (state.KeepRunning()) {
    product.execute(stream, {{DNNL_ARG_SRC, x},
                             {DNNL_ARG_WEIGHTS, weight},
                             {DNNL_ARG_BIAS, bias},
                             {DNNL_ARG_DST, out}});
    stream.wait();
  }
  report(state, s);
}

/// Level by level: attention's projections, GEGLU's two, the middle block; text, time, the VAE.
void shapes(benchmark::internal::Benchmark* bench) {
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const std::vector<int64_t>& shape :
       std::initializer_list<std::vector<int64_t>>{{8192, 320, 320},
                                                   {8192, 2560, 320},
                                                   {8192, 320, 1280},
                                                   {2048, 640, 640},
                                                   {2048, 5120, 640},
                                                   {2048, 640, 2560},
                                                   {512, 1280, 1280},
                                                   {512, 10240, 1280},
                                                   {512, 1280, 5120},
                                                   {128, 1280, 1280},
                                                   {128, 10240, 1280},
                                                   {154, 1280, 768},
                                                   {77, 768, 768},
                                                   {4096, 512, 512},
                                                   {2, 1280, 1280}}) {
    bench->Args(shape);
  }
}

BENCHMARK(own)->Apply(shapes);
BENCHMARK(onednn)->Apply(shapes);
BENCHMARK(own_convolution)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond)
    ->Args({320, 320, 64, 2})
    ->Args({640, 640, 32, 2})
    ->Args({1280, 1280, 16, 2})
    ->Args({320, 320, 64, 1})
    ->Args({4, 320, 64, 1});

}  // namespace
}  // namespace safelight::bench
