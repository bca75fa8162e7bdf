// How fast the guard's shipped classifiers are (docs/guard.md).
//   ninja -C build/release bench_guard guard_models && build/release/bench/bench_guard
#include <benchmark/benchmark.h>

#include <memory>

#include "guard/image_classifier.h"

namespace safelight {
namespace {

/// One image of the given side, with a gradient, from its pixels to its scores.
void classify_image(benchmark::State& state) {
  const auto engine = engine::make_engine(
      "cpu", {.precision = engine::Precision::kF32, .threads = static_cast<int>(state.range(1))});
  auto classifier =
      guard::ImageClassifier::load(**engine, std::string(SAFELIGHT_GUARD_MODELS) + "/" +
                                                 std::string(guard::ImageClassifier::kFileName));
  if (!classifier) {
    state.SkipWithError(classifier.error().message.c_str());
    return;
  }
  const auto side = static_cast<int>(state.range(0));
  image::Image image{.width = side, .height = side, .channels = 3, .pixels = {}};
  for (int i = 0; i < side * side * 3; ++i)
    image.pixels.push_back(static_cast<uint8_t>(i / side + 3 * i));
  for (auto _ : state) {
    auto scores = (*classifier)->classify(image);
    benchmark::DoNotOptimize(scores);
  }
}
BENCHMARK(classify_image)
    ->ArgNames({"side", "threads"})
    ->ArgsProduct({{128, 512, 1024}, {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace safelight

BENCHMARK_MAIN();
