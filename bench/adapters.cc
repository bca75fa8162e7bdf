// How long a LoRA takes to act and to go again: a random one of a rank is made for the attention
// and feed-forward layers of a checkpoint with original names.
//   bench_adapters CHECKPOINT [RANK]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>

#include "pipelines/registry.h"
#include "weights/open_weights.h"

namespace safelight {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSide = 64;  // latents of a picture of 512x512

template <class T>
T expect(Result<T> result) {
  if (result) return std::move(*result);
  std::cerr << result.error().message << "\n";
  std::exit(1);
}

weights::TensorView random(std::vector<int64_t> shape, std::mt19937& generator) {
  std::uniform_real_distribution<float> uniform(-0.02F, 0.02F);
  Tensor tensor(std::move(shape));
  for (float& value : tensor.data) value = uniform(generator);
  return weights::view_of(std::move(tensor));
}

/// A LoRA as kohya's scripts train it by default.
weights::TensorIndex make_lora(const weights::TensorIndex& checkpoint, int64_t rank) {
  weights::TensorIndex lora;
  std::mt19937 generator(1);
  constexpr std::string_view kUnet = "model.diffusion_model.",
                             kText = "cond_stage_model.transformer.text_model.encoder.",
                             kWeight = ".weight";
  for (const auto& [name, tensor] : checkpoint) {
    const bool unet = name.starts_with(kUnet) && (name.find("transformer_blocks") != name.npos ||
                                                  name.find(".proj_") != name.npos);
    const bool text = name.starts_with(kText);
    if ((!unet && !text) || !name.ends_with(kWeight) || tensor.shape.size() < 2) continue;
    const std::string layer = name.substr(0, name.size() - kWeight.size());
    const std::string module = unet ? "diffusion_model." + layer.substr(kUnet.size())
                                    : "text_encoder.encoder." + layer.substr(kText.size());
    const int64_t rows = tensor.shape[0], columns = tensor.count() / rows;
    for (const auto& [end, shape] :
         {std::pair(".lora_up.weight", std::vector<int64_t>{rows, rank}),
          std::pair(".lora_down.weight", std::vector<int64_t>{rank, columns})}) {
      if (Status added = lora.add(module + end, random(shape, generator), "lora"); !added)
        std::abort();
    }
  }
  return lora;
}

void run(const std::string& path, int64_t rank) {
  const auto checkpoint = expect(weights::open_weights(path));
  const weights::TensorIndex lora = make_lora(checkpoint, rank);
  auto engine = expect(engine::make_engine("cpu", {}));
  auto model = expect(pipelines::load_model(*engine, path));
  const auto timed = [](const std::string& what, const auto& act) {
    const auto begin = Clock::now();
    act();
    fmt::print("{:<48}{:>8.3f} s\n", what,
               std::chrono::duration<double>(Clock::now() - begin).count());
    std::cout.flush();
  };
  // All that a picture needs before its first step.
  const auto prepare = [&](const std::vector<weights::AdapterUse>& uses) {
    if (Status set = model->set_adapters(uses); !set) {
      std::cerr << set.error().message << "\n";
      std::exit(1);
    }
    const auto text = expect(model->encode({text::TokenChunk{}}, {}, nullptr));
    expect(model->predictor({&text, &text}, kSide, kSide, {}, nullptr));
  };
  std::shared_ptr<const weights::Adapter> adapter;
  timed("the model made ready", [&] { prepare({}); });
  fmt::print("packed: {} MiB\n", model->bytes() >> 20);
  timed(fmt::format("LoRA of rank {} opened", rank),
        [&] { adapter = expect(weights::Adapter::make(lora, "random")); });
  fmt::print("modules: {}\n", adapter->modules().size());
  timed("switched on, the model made ready", [&] { prepare({{adapter, 1, 1, {}}}); });
  fmt::print("packed: {} MiB\n", model->bytes() >> 20);
  timed("switched off", [&] { prepare({}); });
  timed("switched on again", [&] { prepare({{adapter, 1, 1, {}}}); });
  timed("another strength", [&] { prepare({{adapter, 0.5, 0.5, {}}}); });
}

}  // namespace
}  // namespace safelight

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: bench_adapters CHECKPOINT [RANK]\n";
    return 2;
  }
  safelight::run(argv[1], argc > 2 ? std::atoi(argv[2]) : 32);
}
