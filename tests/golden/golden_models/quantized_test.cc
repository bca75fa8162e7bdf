// A quantized checkpoint computes what its dequantized weights compute (that those have ggml's
// bits: tests/unit/weights/gguf_test.cc).
#include <gtest/gtest.h>

#include "golden/golden_models/random_checkpoint.h"
#include "models/stable_diffusion/stable_diffusion.h"
#include "pipelines/registry.h"
#include "support/random_tensor.h"
#include "support/temporary_folder.h"
#include "weights/open_weights.h"
#include "weights/save_weights.h"

namespace safelight {
namespace {

using weights::FileFormat;

/// The output of the VAE's decoder, the UNet and the text encoder of a checkpoint.
std::vector<Tensor> outputs_of(const std::filesystem::path& path) {
  auto engine =
      std::move(*engine::make_engine("cpu", {.precision = engine::Precision::kF32, .threads = 2}));
  const models::stable_diffusion::Model model =
      *models::stable_diffusion::bind(*weights::open_weights(path));
  std::vector<Tensor> outputs;
  const auto run = [&](graph::Graph& graph, const weights::BoundWeights& bound,
                       const std::vector<const Tensor*>& inputs) {
    auto executable = engine->compile(graph, engine->load(bound));
    outputs.push_back((*engine::run_once(**executable, inputs, 1))[0]);
  };
  const Tensor latent = testing::random_tensor({1, 4, 8, 6}, 3), time({1}, {487.25F});
  Tensor ids({1, 77});
  std::fill(ids.begin(), ids.end(), 320.0F);
  {
    graph::Graph g;
    const auto in = g.input("ids", ids.shape, graph::Numerics::kF32);
    g.output("text", model.text[0].network(g, in, 1));
    run(g, model.text[0].weights, {&ids});
  }
  {
    graph::Graph g;
    const auto x = g.input("x", latent.shape, graph::Numerics::kF32);
    const auto t = g.input("t", time.shape, graph::Numerics::kF32);
    const auto keys = model.unet.network.keys(g, g.input("context", outputs[0].shape));
    g.output("noise", model.unet.network(g, x, t, keys));
    const Tensor context = outputs[0];
    run(g, model.unet.weights, {&latent, &time, &context});
  }
  graph::Graph g;
  const auto in = g.input("latent", latent.shape, graph::Numerics::kF32);
  g.output("image", model.autoencoder.network.decode(g, in));
  run(g, model.autoencoder.weights, {&latent});
  return outputs;
}

TEST(Quantized, AGgufOfQ8_0ComputesWhatItsDequantizedWeightsDo) {
  const test::TemporaryFolder folder;
  const testing::RandomCheckpoint checkpoint("small");
  const auto exact = checkpoint.write(folder.path(), testing::Dialect::kOriginal);
  const auto quantized = folder.path() / "q8_0.gguf", plain = folder.path() / "f32.safetensors";
  ASSERT_TRUE(weights::save_weights(*weights::open_weights(exact), quantized,
                                    {.format = FileFormat::kGguf, .precision = graph::DType::kQ8_0})
                  .ok());
  const auto index = weights::open_weights(quantized);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->predominant_dtype(), graph::DType::kF16);  // convolutions of 3x3
  ASSERT_TRUE(weights::save_weights(*index, plain, {.precision = graph::DType::kF32}).ok());
  const std::vector<Tensor> got = outputs_of(quantized), want = outputs_of(plain),
                            unquantized = outputs_of(exact);
  for (size_t i = 0; i < got.size(); ++i) {
    // Other kernels, for F32 in the file needs no packing.
    EXPECT_LE(nmse(got[i], want[i]), 1e-10) << i;
    EXPECT_LE(nmse(got[i], unquantized[i]), 1e-2) << i;
    if (i < 2) {
      EXPECT_GT(nmse(got[i], unquantized[i]), 1e-9) << i;
    }
  }
}

/// SDXL's form: the projections of OpenCLIP's attention are rows of one quantized tensor.
TEST(Quantized, SdxlInQ8_0ComputesWhatItsDequantizedWeightsDo) {
  const test::TemporaryFolder folder;
  const auto exact = testing::RandomCheckpoint("sdxl", "families")
                         .write(folder.path(), testing::Dialect::kOriginal);
  const auto quantized = folder.path() / "q8_0.gguf", plain = folder.path() / "f32.safetensors";
  ASSERT_TRUE(weights::save_weights(*weights::open_weights(exact), quantized,
                                    {.format = FileFormat::kGguf, .precision = graph::DType::kQ8_0})
                  .ok());
  const auto index = weights::open_weights(quantized);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->find("conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight")
                ->dtype,
            graph::DType::kQ8_0);
  ASSERT_TRUE(weights::save_weights(*index, plain, {.precision = graph::DType::kF32}).ok());
  const Tensor x = testing::random_tensor({1, 4, 8, 6}, 3);
  text::TokenChunk chunk;
  chunk.tokens[1] = 320;
  std::vector<std::vector<Tensor>> outputs;
  for (const auto& path : {quantized, plain, exact}) {
    auto engine = std::move(
        *engine::make_engine("cpu", {.precision = engine::Precision::kF32, .threads = 2}));
    auto model = pipelines::load_model(*engine, path);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const auto text = (*model)->encode({chunk}, {.facts = {.original_width = 64}}, nullptr);
    ASSERT_TRUE(text.ok());
    auto predictor = (*model)->predictor({&*text}, 8, 6, {}, nullptr);
    ASSERT_TRUE(predictor.ok());
    outputs.push_back({text->context, text->vector, *(**predictor)(x, 487.25, nullptr)});
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LE(nmse(outputs[0][i], outputs[1][i]), 1e-10) << i;
    EXPECT_LE(nmse(outputs[0][i], outputs[2][i]), 1e-2) << i;
    EXPECT_GT(nmse(outputs[0][i], outputs[2][i]), 1e-9) << i;
  }
}

}  // namespace
}  // namespace safelight
