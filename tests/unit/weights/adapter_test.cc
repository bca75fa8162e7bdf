#include "weights/adapter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "unit/weights/support.h"
#include "weights/adapt.h"
#include "weights/adapter_report.h"
#include "weights/block_weights.h"
#include "weights/convert.h"

namespace safelight::weights {
namespace {

constexpr const char* kModule = "lora_unet_input_blocks_4_1_proj_in";

/// A tensor whose elements are 1, 2, 3, ... times `scale`.
TensorView counted(std::vector<int64_t> shape, float scale = 1) {
  Tensor tensor(std::move(shape));
  for (size_t i = 0; i < tensor.data.size(); ++i)
    tensor.data[i] = scale * static_cast<float>(i + 1);
  return view_of(std::move(tensor));
}

/// Tensors by the ends of their names, of one module.
TensorIndex file_of(const std::vector<std::pair<std::string, TensorView>>& tensors,
                    const std::string& module = kModule) {
  TensorIndex index;
  for (const auto& [name, tensor] : tensors)
    EXPECT_TRUE(index.add(module + name, tensor, "lora.safetensors").ok());
  return index;
}

Result<std::shared_ptr<const Adapter>> opened(
    const std::vector<std::pair<std::string, TensorView>>& tensors) {
  return Adapter::make(file_of(tensors), "lora");
}

/// What opening says.
std::string refusal(const std::vector<std::pair<std::string, TensorView>>& tensors) {
  const auto adapter = opened(tensors);
  return adapter ? "" : adapter.error().message;
}

BoundWeights one_layer(const std::string& layer, std::vector<int64_t> shape) {
  BoundWeights bound;
  bound.insert(layer + ".weight", counted(std::move(shape), 0.5F));
  return bound;
}

AdapterNames one_name(const std::string& layer, const std::string& network = "unet") {
  AdapterNames names(network);
  names.add(layer, {layer});
  return names;
}

TEST(Adapter, IsOpenedFromItsTensors) {
  const auto adapter = opened({{".lora_down.weight", counted({2, 3})},
                               {".lora_up.weight", counted({4, 2})},
                               {".alpha", counted({})}});
  ASSERT_TRUE(adapter.ok()) << adapter.error().message;
  ASSERT_EQ((*adapter)->modules().size(), 1U);
  const AdapterModule& module = (*adapter)->modules()[0];
  EXPECT_EQ(module.kind, AdapterKind::kLora);
  EXPECT_EQ(module.network, "unet");
  EXPECT_EQ(module.path, "input_blocks_4_1_proj_in");
  EXPECT_EQ(module.rank(), 2);
  EXPECT_EQ((*adapter)->scale(module), 0.5);
  EXPECT_EQ((*adapter)->identity().size(), 64U);
}

TEST(Adapter, AddsTheProductToTheLayer) {
  const auto adapter = opened({{".lora_down.weight", counted({1, 2})},  // 1 2
                               {".lora_up.weight", counted({3, 1})},    // 1 2 3
                               {".alpha", view_of(Tensor({}, {4}))}});
  const std::string layer = "input_blocks.4.1.proj_in";
  const AdapterUse use{*adapter, 0.5, 0.25, {}};
  const auto changed = adapt(one_layer(layer, {3, 2, 1, 1}), one_name(layer), {&use, 1});
  ASSERT_TRUE(changed.ok());
  // 0.5 i + 4 * 0.5 * up down
  EXPECT_EQ(changed->at(layer + ".weight")->whole().data,
            std::vector<float>({0.5F + 2, 1 + 4, 1.5F + 4, 2 + 8, 2.5F + 6, 3 + 12}));
  const AdapterUse none{*adapter, 0, 1, {}};
  EXPECT_TRUE(adapt(one_layer(layer, {3, 2}), one_name(layer), {&none, 1})->empty());
}

TEST(Adapter, SplitsWhatSeveralLayersShare) {
  const auto adapter = Adapter::make(
      file_of({{".lora_down.weight", counted({1, 2})}, {".lora_up.weight", counted({6, 1})}},
              "lora_te2_transformer_resblocks_0_attn_in_proj"),
      "lora");
  ASSERT_TRUE(adapter.ok()) << adapter.error().message;
  BoundWeights bound;
  for (const char* layer : {"q", "k", "v"})
    bound.insert(std::string(layer) + ".weight", view_of(Tensor({2, 2})));
  AdapterNames names("text2");
  names.add("transformer.resblocks.0.attn.in_proj", {"q", "k", "v"});
  const AdapterUse use{*adapter, 0, 2, {}};
  const auto changed = adapt(bound, names, {&use, 1});
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->at("q.weight")->whole().data, std::vector<float>({2, 4, 4, 8}));
  EXPECT_EQ(changed->at("k.weight")->whole().data, std::vector<float>({6, 12, 8, 16}));
  EXPECT_EQ(changed->at("v.weight")->whole().data, std::vector<float>({10, 20, 12, 24}));
}

TEST(Adapter, BiasesAloneAreChanged) {
  for (const char* part : {".b_norm", ".diff_b"}) {
    const auto adapter = opened({{part, counted({3})}});
    ASSERT_TRUE(adapter.ok()) << adapter.error().message;
    const std::string layer = "input_blocks.4.1.proj_in";
    BoundWeights bound = one_layer(layer, {3, 2});
    bound.insert(layer + ".bias", view_of(Tensor({3})));
    const AdapterUse use{*adapter, 2, 1, {}};
    const auto changed = adapt(bound, one_name(layer), {&use, 1});
    ASSERT_TRUE(changed.ok()) << changed.error().message;
    ASSERT_EQ(changed->size(), 1U);
    EXPECT_EQ(changed->at(layer + ".bias")->whole().data, std::vector<float>({2, 4, 6}));
  }
}

TEST(Adapter, SeveralActInTurnAndBlocksHaveTheirOwnFactors) {
  const auto adapter = opened({{".diff", counted({2, 2})}});
  const std::string layer = "input_blocks.4.1.proj_in";
  std::vector<double> blocks(17, 0);
  blocks[3] = 2;  // IN04
  const AdapterUse uses[] = {{*adapter, 1, 1, {}}, {*adapter, 0.5, 1, blocks}};
  const auto changed = adapt(one_layer(layer, {2, 2}), one_name(layer), uses);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->at(layer + ".weight")->whole().data, std::vector<float>({2.5F, 5, 7.5F, 10}));
}

TEST(Adapter, IncompleteModulesAreRefused) {
  EXPECT_NE(refusal({{".lora_down.weight", counted({2, 3})}})
                .find("lora: adapter module 'lora_unet_input_blocks_4_1_proj_in' lacks its part "
                      "'up'; it has down"),
            std::string::npos)
      << refusal({{".lora_down.weight", counted({2, 3})}});
  EXPECT_NE(refusal({{".hada_w1_a", counted({4, 2})},
                     {".hada_w1_b", counted({2, 3})},
                     {".hada_w2_a", counted({4, 2})}})
                .find("lacks its part 'w2_b'"),
            std::string::npos);
  EXPECT_NE(refusal({{".lokr_w1", counted({2, 2})}}).find("lacks its part 'w2_a'"),
            std::string::npos);
  EXPECT_NE(refusal({{".on_input", counted({})}}).find("lacks its part 'weight'"),
            std::string::npos);
}

TEST(Adapter, ShapesThatDoNotFitAreRefused) {
  const auto pair = [](std::vector<int64_t> up, std::vector<int64_t> down) {
    return refusal({{".lora_up.weight", counted(std::move(up))},
                    {".lora_down.weight", counted(std::move(down))}});
  };
  EXPECT_EQ(pair({4, 2}, {2, 3}), "");
  EXPECT_EQ(pair({4, 2, 1, 1}, {2, 3, 3, 3}), "");
  EXPECT_NE(pair({4, 3}, {2, 3}).find("'up' [4, 3] and 'down' [2, 3], which are no product"),
            std::string::npos);
  EXPECT_NE(pair({4, 2, 3, 3}, {2, 3}), "");
  EXPECT_NE(pair({4}, {2, 3}), "");
  EXPECT_NE(pair({4, 0}, {0, 3}).find("of shape [0, 3]"), std::string::npos);
  EXPECT_NE(pair({1, 20000}, {20000, 1}).find("rank up to 16384"), std::string::npos);
  EXPECT_NE(refusal({{".lora_up.weight", counted({4, 2})},
                     {".lora_down.weight", counted({2, 3})},
                     {".lora_mid.weight", counted({2, 3, 1, 1})}}),
            "");
}

TEST(Adapter, NumbersThatAreNoneAreRefused) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const auto with_alpha = [](TensorView alpha) {
    return refusal({{".lora_up.weight", counted({4, 2})},
                    {".lora_down.weight", counted({2, 3})},
                    {".alpha", std::move(alpha)}});
  };
  EXPECT_EQ(with_alpha(view_of(Tensor({1}, {8}))), "");
  EXPECT_NE(with_alpha(view_of(Tensor({}, {kNan}))).find("NaN or infinite values in its part 'alp"),
            std::string::npos);
  EXPECT_NE(with_alpha(counted({2})).find("one number is needed"), std::string::npos);
  EXPECT_NE(refusal({{".diff", view_of(Tensor({1, 2}, {1, kNan}))}}), "");
}

TEST(Adapter, OtherKindsAreNamed) {
  const std::string oft = refusal({{".oft_blocks", counted({2, 2, 2})}});
  EXPECT_NE(oft.find("is of kind OFT, which is not supported"), std::string::npos) << oft;
  const auto other = Adapter::make(file_of({{".weight", counted({2, 2})}}, "some"), "some");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kUnsupported);
}

/// A product far larger than the file is refused before memory is taken for it.
TEST(Adapter, AnotherLayersShapeIsRefused) {
  const std::string layer = "input_blocks.4.1.proj_in";
  const BoundWeights bound = one_layer(layer, {3, 2});
  const auto adapted = [&](const std::vector<std::pair<std::string, TensorView>>& tensors) {
    const auto adapter = opened(tensors);
    EXPECT_TRUE(adapter.ok()) << adapter.error().message;
    const AdapterUse use{*adapter, 1, 1, {}};
    const auto changed = adapt(bound, one_name(layer), {&use, 1});
    return changed ? std::string() : changed.error().message;
  };
  const std::string lora =
      adapted({{".lora_up.weight", counted({4, 1})}, {".lora_down.weight", counted({1, 2})}});
  EXPECT_NE(lora.find("adapter lora: module 'lora_unet_input_blocks_4_1_proj_in' makes a matrix of "
                      "[4, 2]; the layer 'input_blocks.4.1.proj_in' needs [3, 2]"),
            std::string::npos)
      << lora;
  EXPECT_NE(adapted({{".lokr_w1_a", counted({1 << 12, 1})},
                     {".lokr_w1_b", counted({1, 1 << 12})},
                     {".lokr_w2_a", counted({1 << 12, 1})},
                     {".lokr_w2_b", counted({1, 1 << 12})}}),
            "");
  EXPECT_NE(adapted({{".diff_b", counted({3})}}).find("changes a bias of 3 numbers"),
            std::string::npos);
  EXPECT_NE(adapted({{".lora_up.weight", counted({3, 1})},
                     {".lora_down.weight", counted({1, 2})},
                     {".dora_scale", counted({5, 1})}})
                .find("magnitude of shape [5, 1]"),
            std::string::npos);
}

TEST(Adapter, OneThatFitsNothingIsRefused) {
  const auto adapter = Adapter::make(
      file_of({{".lora_up.weight", counted({4, 1})}, {".lora_down.weight", counted({1, 2048})}},
              "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"),
      "detail");
  ASSERT_TRUE(adapter.ok());
  EXPECT_EQ((*adapter)->family(), Family::kSdxl);
  const AdapterNames names = one_name("input_blocks.4.1.proj_in");
  const AdapterNames* networks[] = {&names};
  const Status fits = check_adapter_fits(**adapter, networks, "Stable Diffusion 1.x");
  ASSERT_FALSE(fits.ok());
  EXPECT_EQ(fits.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(fits.error().message.find("nothing for a model of Stable Diffusion 1.x"),
            std::string::npos);
  EXPECT_NE(fits.error().message.find("It is for models of sdxl."), std::string::npos);
}

TEST(Adapter, EmbeddingsWithinAreNamed) {
  TensorIndex index = file_of({{".diff", counted({2, 2})}});
  ASSERT_TRUE(index.add("bundle_emb.word.string_to_param.*", counted({1, 768}), "x").ok());
  ASSERT_TRUE(index.add("strange", counted({1}), "x").ok());
  const auto adapter = Adapter::make(index, "lora");
  ASSERT_TRUE(adapter.ok()) << adapter.error().message;
  EXPECT_EQ((*adapter)->embeddings(), std::vector<std::string>{"word"});
  EXPECT_EQ((*adapter)->unknown(), std::vector<std::string>{"strange"});
}

TEST(Adapter, SpellingsOfOneLayer) {
  const std::vector<std::pair<const char*, const char*>> spellings = {
      {"lora_unet_mid_block_x.lora_up.weight", "unet"},
      {"unet.mid_block.x.lora_B.weight", "unet"},
      {"unet.mid_block.x.lora.up.weight", "unet"},
      {"unet.mid_block.processor.x_lora.up.weight", "unet"},
      {"base_model.model.mid_block.x.lora_B.weight", "unet"},
      {"mid_block.x.lora_B.default.weight", "unet"},
      {"diffusion_model.mid_block.x.lora_up.weight", "unet"},
      {"lycoris_mid_block_x.lora_up.weight", "unet"},
      {"lora_te1_text_model_mid_block_x.lora_up.weight", "text"},
      {"lora_te2_text_model_mid_block_x.lora_up.weight", "text2"},
      {"text_encoder_2.text_model.mid_block.x.lora_B.weight", "text2"},
      {"clip_g.transformer.text_model.mid_block.x.lora_up.weight", "text2"}};
  for (const auto& [name, network] : spellings) {
    TensorIndex index;
    ASSERT_TRUE(index.add(name, shape_only({2, 2}), "x").ok());
    const AdapterFile file = read_adapter_file(index);
    ASSERT_EQ(file.modules.size(), 1U) << name;
    EXPECT_EQ(file.modules[0].path, "mid_block_x") << name;
    EXPECT_EQ(file.modules[0].network, network) << name;
  }
}

TEST(AdapterReport, TellsKindsRanksAndWords) {
  TensorIndex index = file_of({{".lora_up.weight", counted({4, 2})},
                               {".lora_down.weight", counted({2, 3})},
                               {".dora_scale", counted({4, 1})}});
  ASSERT_TRUE(index.add("lora_te_x.diff", counted({2}), "x").ok());
  ASSERT_TRUE(index.add("strange", counted({1}), "x").ok());
  index.metadata["ss_tag_frequency"] =
      R"({"a": {"apple": 3, "pear": 2, "bad": "x"}, "b": {"pear": 2}, "c": 1})";
  const AdapterReport report = report_adapter(index);
  EXPECT_EQ(report.kinds, (std::map<std::string, int64_t>{{"DoRA", 1}, {"full difference", 1}}));
  EXPECT_EQ(report.networks, (std::map<std::string, int64_t>{{"text", 1}, {"unet", 1}}));
  EXPECT_EQ(report.ranks, std::vector<int64_t>{2});
  EXPECT_EQ(report.trigger_words, (std::vector<std::string>{"pear", "apple"}));
  EXPECT_NE(to_text(report).find("1 tensors do nothing: strange"), std::string::npos);
  index.metadata["modelspec.trigger_phrase"] = "my apple";
  EXPECT_EQ(report_adapter(index).trigger_words, std::vector<std::string>{"my apple"});
  index.metadata = {{"ss_tag_frequency", "[["}};
  EXPECT_TRUE(report_adapter(index).trigger_words.empty());
}

TEST(BlockWeights, ListsAndPresets) {
  EXPECT_EQ(parse_block_weights("ALL")->size(), 17U);
  EXPECT_EQ(parse_block_weights(" 1, 0.5,1,1,1,1,1,1,1,1,1,-1 ")->at(11), -1);
  for (const char* wrong :
       {"", "1,2,3", "1,,1", "SOME", "nan", "1e400,1", "1,2,", "999,1,1,1,1,1,1,1,1,1,1,1"}) {
    EXPECT_FALSE(parse_block_weights(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(parse_block_weights(std::string(1 << 20, ',')).ok());
}

TEST(BlockWeights, BelongToBlocks) {
  const auto out_d = *parse_block_weights("OUTD");
  EXPECT_EQ(block_weight(out_d, "text", "encoder.layers.0.mlp.fc1"), 1);
  EXPECT_EQ(block_weight(out_d, "unet", "input_blocks.4.1.proj_in"), 0);
  EXPECT_EQ(block_weight(out_d, "unet", "output_blocks.3.1.proj_in"), 1);
  EXPECT_EQ(block_weight(out_d, "unet", "output_blocks.11.1.proj_in"), 0);
  EXPECT_EQ(block_weight(out_d, "unet", "output_blocks.1.0.x"), 0);  // not in the list
  EXPECT_EQ(block_weight(out_d, "unet", "time_embed.0"), 1);
  EXPECT_EQ(block_weight({}, "unet", "input_blocks.4.1.proj_in"), 1);
  std::vector<double> sdxl(12);
  for (size_t i = 0; i < sdxl.size(); ++i) sdxl[i] = static_cast<double>(i);
  EXPECT_EQ(block_weight(sdxl, "text2", "x"), 0);
  EXPECT_EQ(block_weight(sdxl, "unet", "input_blocks.8.1.x"), 4);
  EXPECT_EQ(block_weight(sdxl, "unet", "middle_block.1.x"), 5);
  EXPECT_EQ(block_weight(sdxl, "unet", "output_blocks.5.1.x"), 11);
}

}  // namespace
}  // namespace safelight::weights
