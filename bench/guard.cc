// How fast the guard's shipped classifiers are (docs/guard.md).
//   ninja -C build/release bench_guard guard_models && build/release/bench/bench_guard
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "guard/image_classifier.h"
#include "guard/text_cascade.h"

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

/// One text after the other, each judged by normaliser, word lists and classifier: the benign
/// prompts of the tests, alone or so many of them joined to one text.
void judge_text(benchmark::State& state) {
  const std::string root = SAFELIGHT_SOURCE_DIR;
  const auto cascade = guard::TextCascade::open(root + "/models/guard-text");
  const auto prompts = read_file(root + "/tests/unit/guard/data/benign-art.txt");
  if (!cascade || !prompts) {
    state.SkipWithError((cascade ? prompts.error() : cascade.error()).message.c_str());
    return;
  }
  std::vector<std::string> texts(1);
  int64_t lines = 0;
  for (const char c : *prompts) {
    texts.back() += c;
    if (c == '\n' && ++lines % state.range(0) == 0) texts.emplace_back();
  }
  if (texts.back().empty()) texts.pop_back();
  size_t next = 0;
  for (auto _ : state) {
    auto findings = cascade->judge(texts[next++ % texts.size()]);
    benchmark::DoNotOptimize(findings);
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes"] =
      static_cast<double>(prompts->size()) / static_cast<double>(texts.size());
}
BENCHMARK(judge_text)->ArgName("prompts")->Arg(1)->Arg(20)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace safelight

BENCHMARK_MAIN();
