#include "weights/inspect.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <chrono>

#include "base/json.h"
#include "unit/weights/support.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

using Tensors = std::vector<std::pair<std::string, std::vector<int64_t>>>;

/// Names and shapes that diffusers' and transformers' networks have
/// (tools/reference/record_model_names.py).
Tensors recorded(std::string_view network, const std::string& prefix = "") {
  static const boost::json::value all =
      parse_json(
          read_file(SAFELIGHT_SOURCE_DIR "/tests/golden/data/model_names/diffusers.json").value())
          .value();
  Tensors tensors;
  for (const auto& [name, dims] : all.at(network).as_object()) {
    std::vector<int64_t> shape;
    for (const auto& dim : dims.as_array()) shape.push_back(dim.as_int64());
    tensors.emplace_back(prefix + std::string(name), shape);
  }
  return tensors;
}

Tensors operator+(Tensors a, const Tensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TensorIndex index_of(const Tensors& tensors) {
  TensorIndex index;
  for (const auto& [name, shape] : tensors) {
    EXPECT_TRUE(index.add(name, shape_only(shape), "m.safetensors"));
  }
  return index;
}

/// "kind family dialect: component component ..."
std::string summary(const FileReport& report) {
  std::string text = std::string(name_of(report.kind)) + " ";
  text.append(name_of(report.family)).append(" ").append(name_of(report.dialect)).append(":");
  for (const ComponentReport& component : report.components) text += " " + component.name;
  return text;
}

struct InspectCase {
  Tensors tensors;
  std::string want;
};

void expect_summaries(const std::vector<InspectCase>& cases) {
  for (const InspectCase& c : cases) EXPECT_EQ(summary(inspect(index_of(c.tensors))), c.want);
}

/// The tensors that tell an original UNet's family, under `prefix`.
Tensors original_unet(const std::string& prefix, std::vector<int64_t> proj_in,
                      int64_t vector_width = 0) {
  Tensors tensors = {{prefix + "input_blocks.0.0.weight", {320, 4, 3, 3}},
                     {prefix + "input_blocks.1.1.proj_in.weight", std::move(proj_in)},
                     {prefix + "out.2.weight", {4, 320, 3, 3}}};
  if (vector_width > 0) {
    tensors.emplace_back(prefix + "label_emb.0.0.weight", std::vector<int64_t>{1280, vector_width});
  }
  return tensors;
}

const Tensors kVae = {{"first_stage_model.decoder.conv_in.weight", {512, 4, 3, 3}}};

TEST(Inspect, OriginalCheckpoints) {
  const std::string unet = "model.diffusion_model.";
  expect_summaries({
      {original_unet(unet, {320, 320, 1, 1}) + kVae +
           Tensors{{"cond_stage_model.transformer.text_model.final_layer_norm.bias", {768}},
                   {"alphas_cumprod", {1000}},
                   {"model_ema.decay", {}}},
       "checkpoint sd1 original: ema other text_encoder unet vae"},
      {original_unet(unet, {320, 320}) + kVae +
           Tensors{{"cond_stage_model.model.ln_final.bias", {1024}}},
       "checkpoint sd2 original: text_encoder unet vae"},
      {original_unet(unet, {640, 640}, 2816) + kVae +
           Tensors{{"conditioner.embedders.0.transformer.text_model.final_layer_norm.bias", {768}},
                   {"conditioner.embedders.1.model.ln_final.bias", {1280}}},
       "checkpoint sdxl original: text_encoder text_encoder_2 unet vae"},
      {original_unet(unet, {768, 768}, 2560) + kVae +
           Tensors{{"conditioner.embedders.0.model.ln_final.bias", {1280}}},
       "checkpoint sdxl-refiner original: text_encoder unet vae"},
      {Tensors{{"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", {4608, 1536}},
               {"text_encoders.clip_l.transformer.text_model.final_layer_norm.bias", {768}},
               {"text_encoders.clip_g.transformer.text_model.final_layer_norm.bias", {1280}},
               {"text_encoders.t5xxl.transformer.shared.weight", {32128, 4096}}} +
           kVae,
       "checkpoint sd3 original: text_encoder text_encoder_2 text_encoder_3 transformer vae"},
      {original_unet(unet, {320, 320, 1, 1}), "denoiser sd1 original: unet"},
      {original_unet(unet, {320, 320, 1, 1}, 999), "denoiser unknown original: unet"},
  });
}

TEST(Inspect, NetworksAloneInTheirFile) {
  expect_summaries({
      {original_unet("", {320, 320, 1, 1}), "denoiser sd1 original: unet"},
      {{{"double_blocks.0.img_attn.qkv.weight", {9216, 3072}},
        {"single_blocks.0.linear1.weight", {21504, 3072}}},
       "denoiser flux original: transformer"},
      {recorded("sd1.unet"), "denoiser sd1 component: unet"},
      {recorded("sd2.unet"), "denoiser sd2 component: unet"},
      {recorded("sdxl.unet"), "denoiser sdxl component: unet"},
      {recorded("sdxl-refiner.unet"), "denoiser sdxl-refiner component: unet"},
      {recorded("sd3.transformer"), "denoiser sd3 component: transformer"},
      {recorded("flux.transformer"), "denoiser flux component: transformer"},
      {recorded("sd1.controlnet"), "controlnet sd1 component: controlnet"},
      {recorded("vae"), "vae unknown component: vae"},
      {recorded("clip-l"), "text-encoder unknown component: text_encoder"},
      {recorded("clip-l", "text_model."), "text-encoder unknown component: text_encoder"},
      {recorded("t5"), "text-encoder unknown component: text_encoder"},
      {{{"transformer.resblocks.0.attn.in_proj_weight", {3072, 1024}}},
       "text-encoder unknown original: text_encoder"},
      {{{"decoder.conv_in.weight", {512, 4, 3, 3}}, {"decoder.up.0.block.0.norm1.bias", {128}}},
       "vae unknown original: vae"},
      {kVae, "vae unknown original: vae"},
      {{{"control_model.input_hint_block.0.weight", {16, 3, 3, 3}},
        {"control_model.input_blocks.1.1.proj_in.weight", {320, 320, 1, 1}}},
       "controlnet sd1 original: controlnet"},
      {{{"conv_first.weight", {64, 3, 3, 3}}, {"body.0.rdb1.conv1.weight", {32, 64, 3, 3}}},
       "upscaler unknown unknown: upscaler"},
      {{{"model.0.weight", {64, 3, 3, 3}}, {"model.1.sub.0.RDB1.conv1.0.weight", {32, 64, 3, 3}}},
       "upscaler unknown unknown: upscaler"},
      {{{"layer.weight", {1, 1}}}, "unknown unknown unknown: other"},
      {{}, "unknown unknown unknown:"},
  });
}

TEST(Inspect, DiffusersFolders) {
  const Tensors vae = recorded("vae", "vae.");
  const Tensors text = recorded("clip-l", "text_encoder.");
  expect_summaries({
      {recorded("sd1.unet", "unet.") + vae + text,
       "checkpoint sd1 diffusers: text_encoder unet vae"},
      {recorded("sd2.unet", "unet.") + vae + text,
       "checkpoint sd2 diffusers: text_encoder unet vae"},
      {recorded("sdxl.unet", "unet.") + vae + text + recorded("clip-l", "text_encoder_2."),
       "checkpoint sdxl diffusers: text_encoder text_encoder_2 unet vae"},
      {recorded("sd3.transformer", "transformer.") + vae,
       "checkpoint sd3 diffusers: transformer vae"},
      {recorded("flux.transformer", "transformer.") + vae,
       "checkpoint flux diffusers: transformer vae"},
  });
}

TEST(Inspect, Adapters) {
  const std::string kohya = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.";
  const std::string peft = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.";
  const auto pair = [](const std::string& down, const std::string& up, int64_t width) {
    return Tensors{{down, {4, width}}, {up, {320, 4}}};
  };
  const auto kohya_pair = [&](int64_t width) {
    return pair(kohya + "lora_down.weight", kohya + "lora_up.weight", width);
  };
  const Tensors te = {{"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", {4, 768}}};
  const Tensors te2 = {
      {"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", {4, 1280}}};
  expect_summaries({
      {kohya_pair(768) + te, "lora sd1 kohya: text_encoder unet"},
      {kohya_pair(1024), "lora sd2 kohya: unet"},
      {kohya_pair(2048) + te2, "lora sdxl kohya: text_encoder_2 unet"},
      {te2, "lora sdxl kohya: text_encoder_2"},
      {te, "lora unknown kohya: text_encoder"},
      {pair(peft + "to_k.lora_A.weight", peft + "to_k.lora_B.weight", 768), "lora sd1 peft: unet"},
      {pair(peft + "processor.to_k_lora.down.weight", peft + "processor.to_k_lora.up.weight", 2048),
       "lora sdxl peft: unet"},
      {{{"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", {16, 3072}}},
       "lora flux kohya: transformer"},
      {{{"transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight", {16, 3072}}},
       "lora flux peft: transformer"},
      {{{"transformer.transformer_blocks.0.attn.add_k_proj.lora_A.weight", {16, 1536}}},
       "lora sd3 peft: transformer"},
      {{{kohya + "hada_w1_a", {320, 4}}, {kohya + "hada_w1_b", {4, 768}}}, "lora sd1 kohya: unet"},
      {{{"emb_params", {2, 768}}}, "embedding sd1 unknown: embedding"},
      {{{"<toy>", {1024}}}, "embedding sd2 unknown: embedding"},
      {{{"clip_l", {2, 768}}, {"clip_g", {2, 1280}}}, "embedding sdxl unknown: embedding"},
  });
}

TEST(Inspect, CountsParametersBytesAndPrecisions) {
  TensorIndex index;
  ASSERT_TRUE(index.add("vae.a", view_of(Tensor({2, 3})), "a.safetensors"));
  ASSERT_TRUE(index.add("unet.a", {graph::DType::kF16, {0}, {}, nullptr}, "b.safetensors"));
  ASSERT_TRUE(index.add("b", view_of(Tensor({4})), "b.safetensors"));
  const FileReport report = inspect(index);
  EXPECT_EQ(report.format, FileFormat::kShardedSafetensors);
  EXPECT_EQ(report.total.parameters, 10);
  EXPECT_EQ(report.total.bytes, 40u);
  EXPECT_EQ(report.total.tensors, 3);
  EXPECT_EQ(report.components.size(), 3u);
  EXPECT_EQ(report.components[2].name, "vae");
  EXPECT_EQ(report.components[2].parameters, 6);
  EXPECT_EQ(report.components[2].parameters_by_dtype.at(graph::DType::kF32), 6);
  EXPECT_TRUE(report.tensors.empty());
  const FileReport listed = inspect(index, {.list_tensors = true});
  ASSERT_EQ(listed.tensors.size(), 3u);
  EXPECT_EQ(listed.tensors[0].name, "b");
}

TEST(Inspect, TheTextAndTheJsonOfAReport) {
  TensorIndex index;
  ASSERT_TRUE(index.add("emb_params", view_of(Tensor({2, 768})), "e.safetensors"));
  index.metadata.emplace("title", "a\x1b[31mb");
  FileReport report = inspect(index, {.list_tensors = true});
  report.path = "e.safetensors";
  EXPECT_EQ(to_text(report),
            "file        e.safetensors\n"
            "format      safetensors\n"
            "kind        embedding\n"
            "family      sd1\n"
            "names       unknown\n"
            "components\n"
            "  embedding            1.5 k parameters     6.0 KiB      1 tensors  F32\n"
            "  total                1.5 k parameters     6.0 KiB      1 tensors  F32\n"
            "metadata\n"
            "  title: a?[31mb\n"
            "tensors\n"
            "  emb_params F32 [2, 768]\n");
  EXPECT_EQ(boost::json::serialize(to_json(report)),
            R"({"file":"e.safetensors","format":"safetensors","kind":"embedding","family":"sd1",)"
            R"("names":"unknown","is_lora":false,"total":{"name":"total","tensors":1,)"
            R"("parameters":1536,"bytes":6144,"parameters_by_dtype":{"F32":1536}},"components":[)"
            R"({"name":"embedding","tensors":1,"parameters":1536,"bytes":6144,)"
            R"("parameters_by_dtype":{"F32":1536}}],"metadata":{"title":"a\u001b[31mb"},)"
            R"("tensors":[{"name":"emb_params","dtype":"F32","shape":[2,768]}]})");
}

/// A sparse file of 7 GB with SDXL's number of tensors: only its header takes room on the disk.
void write_sparse_checkpoint(const std::filesystem::path& path) {
  constexpr int kTensors = 2500;
  constexpr int64_t kElements = 1'400'000;
  std::string header = "{";
  for (int i = 0; i < kTensors; ++i) {
    header += (i == 0 ? "\"" : ",\"");
    header += "model.diffusion_model.input_blocks." + std::to_string(i) +
              R"(.1.transformer_blocks.0.attn1.to_q.weight":{"dtype":"F16","shape":[)" +
              std::to_string(kElements) + R"(],"data_offsets":[)" +
              std::to_string(2 * kElements * i) + "," + std::to_string(2 * kElements * (i + 1)) +
              "]}";
  }
  const std::string start = file_bytes(header + "}");
  write_text(path, start);
  std::filesystem::resize_file(path, start.size() + uint64_t{2} * kElements * kTensors);
}

TEST(Inspect, A7GigabyteFileInWellUnderASecond) {
  const TemporaryFolder folder;
  write_sparse_checkpoint(folder / "big.safetensors");
  const auto start = std::chrono::steady_clock::now();
  const auto report = inspect(folder / "big.safetensors");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->total.bytes, 7'000'000'000u);
  EXPECT_EQ(report->path, (folder / "big.safetensors").string());
  EXPECT_LT(took.count(), 1.0);
}

TEST(Inspect, AFileThatIsNoModelGivesTheReadersError) {
  const TemporaryFolder folder;
  write_text(folder / "x.ckpt", std::string("PK\x03\x04\0\0\x08\x08", 8));
  const auto report = inspect(folder / "x.ckpt");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCorruptFile);
}

}  // namespace
}  // namespace safelight::weights
