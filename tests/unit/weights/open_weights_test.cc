#include "weights/open_weights.h"

#include <gtest/gtest.h>

#include "unit/weights/support.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

namespace fs = std::filesystem;

/// Writes a file that holds the one tensor `name` of the one element `value`.
void write_one(const fs::path& path, const std::string& name, float value) {
  ASSERT_TRUE(write_safetensors(path, {{name, view_of(Tensor({1}, {value}))}},
                                {{"made-of", path.filename().string()}}));
}

float only_value(const TensorIndex& index, std::string_view name) {
  const TensorView* tensor = index.find(name);
  float value = -1;
  if (tensor != nullptr) std::memcpy(&value, tensor->data.data(), sizeof(value));
  return value;
}

std::string index_json(std::string_view weight_map) {
  return std::string(R"({"metadata":{"total_size":8},"weight_map":)").append(weight_map) + "}";
}

/// The message of the error that opening `path` must give.
std::string error_of(const fs::path& path) {
  const auto index = open_weights(path);
  return index ? "no error" : index.error().message;
}

class OpenWeights : public testing::Test {
 protected:
  void write_shards() {
    write_one(folder_ / "m-00001-of-00002.safetensors", "a", 1);
    write_one(folder_ / "m-00002-of-00002.safetensors", "b", 2);
  }
  void write_index(std::string_view weight_map) {
    write_text(folder_ / "m.safetensors.index.json", index_json(weight_map));
  }

  TemporaryFolder folder_;
};

constexpr std::string_view kGoodMap =
    R"({"a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors"})";

TEST_F(OpenWeights, OneFile) {
  write_one(folder_ / "x.safetensors", "a", 3);
  const auto index = open_weights(folder_ / "x.safetensors");
  ASSERT_TRUE(index);
  EXPECT_EQ(only_value(*index, "a"), 3);
  EXPECT_EQ(index->source_file("a"), "x.safetensors");
}

TEST_F(OpenWeights, ShardsByTheirIndexOrTheirFolder) {
  write_shards();
  write_index(kGoodMap);
  for (const fs::path& path : {folder_ / "m.safetensors.index.json", folder_.path()}) {
    const auto index = open_weights(path);
    ASSERT_TRUE(index) << index.error().message;
    EXPECT_EQ(index->size(), 2u);
    EXPECT_EQ(only_value(*index, "a"), 1);
    EXPECT_EQ(only_value(*index, "b"), 2);
    EXPECT_EQ(index->source_file("b"), "m-00002-of-00002.safetensors");
    EXPECT_EQ(index->metadata.at("made-of"), "m-00001-of-00002.safetensors");
  }
}

TEST_F(OpenWeights, AShardsTensorThatTheIndexPlacesElsewhereIsLeftOut) {
  write_shards();
  write_one(folder_ / "m-00002-of-00002.safetensors", "a", 9);
  write_index(R"({"a":"m-00001-of-00002.safetensors"})");
  const auto index = open_weights(folder_ / "m.safetensors.index.json");
  ASSERT_TRUE(index);
  EXPECT_EQ(only_value(*index, "a"), 1);
}

TEST_F(OpenWeights, RefusesShardsThatDoNotFitTheIndex) {
  const fs::path path = folder_ / "m.safetensors.index.json";
  write_shards();
  write_index(R"({"c":"m-00001-of-00002.safetensors"})");
  EXPECT_EQ(error_of(path),
            "m.safetensors.index.json: tensor 'c' is not in its shard "
            "'m-00001-of-00002.safetensors'; index and shards are not of one model");
  fs::remove(folder_ / "m-00002-of-00002.safetensors");
  write_index(kGoodMap);
  EXPECT_EQ(error_of(path),
            "m.safetensors.index.json: shard 'm-00002-of-00002.safetensors' is missing; download "
            "it into the same folder");
  write_text(folder_ / "m-00002-of-00002.safetensors", "<html>");
  EXPECT_EQ(error_of(path),
            "m-00002-of-00002.safetensors: looks like a web page, not a model: download the file "
            "itself");
}

TEST_F(OpenWeights, RefusesShardNamesThatLeaveTheFolder) {
  for (const char* name :
       {"../m.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", "a\\u0000b"}) {
    write_index(std::string(R"({"a":")") + name + "\"}");
    const std::string message = error_of(folder_ / "m.safetensors.index.json");
    EXPECT_NE(message.find("the name of a file in the same folder is needed"), std::string::npos)
        << message;
  }
  write_index(R"({"a":3})");
  EXPECT_EQ(error_of(folder_ / "m.safetensors.index.json"),
            "m.safetensors.index.json: tensor 'a' is placed in ''; the name of a file in the same "
            "folder is needed");
}

TEST_F(OpenWeights, RefusesAnIndexThatIsNone) {
  const fs::path path = folder_ / "m.safetensors.index.json";
  const std::string needs_map =
      "m.safetensors.index.json: has no weight_map; an object of tensor names to shard files is "
      "needed";
  write_text(path, "{}");
  EXPECT_EQ(error_of(path), needs_map);
  write_index("{}");
  EXPECT_EQ(error_of(path), needs_map);
  write_index("[1]");
  EXPECT_EQ(error_of(path), needs_map);
  write_text(path, "[]");
  EXPECT_EQ(error_of(path), "m.safetensors.index.json: is no JSON object");
  write_text(path, "{");
  EXPECT_EQ(error_of(path).find("m.safetensors.index.json: bad JSON at byte"), 0u);
  write_index(R"({"a":"x","a":"y"})");
  EXPECT_EQ(error_of(path), "m.safetensors.index.json: JSON has the key 'a' twice in one object");
}

TEST_F(OpenWeights, AFolderGivesItsPlainVariantThenFp16ThenOthersByRank) {
  write_one(folder_ / "model.int8.safetensors", "a", 7);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 7);
  write_one(folder_ / "model.non_ema.safetensors", "a", 6);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 6);
  write_one(folder_ / "model.ema.safetensors", "a", 5);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 5);
  write_one(folder_ / "model.bf16.safetensors", "a", 1);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 1);
  write_one(folder_ / "model.fp16.safetensors", "a", 2);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 2);
  write_one(folder_ / "model.safetensors", "a", 3);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 3);
  write_one(folder_ / "other.safetensors", "a", 4);
  EXPECT_EQ(error_of(folder_.path()),
            folder_.path().string() +
                ": holds several models (model.safetensors, other.safetensors); name one of the "
                "files");
}

TEST_F(OpenWeights, AFolderGivesBinFilesWhereThereAreNoSafetensors) {
  const fs::path recorded = SAFELIGHT_SOURCE_DIR "/tests/golden/data/torch/upscaler.pth";
  fs::copy_file(recorded, folder_ / "diffusion_pytorch_model.bin");
  write_text(folder_ / "optimizer.bin", "PK");
  EXPECT_EQ(open_weights(folder_.path())->format, FileFormat::kTorch);
  write_one(folder_ / "diffusion_pytorch_model.safetensors", "a", 4);
  EXPECT_EQ(only_value(*open_weights(folder_.path()), "a"), 4);
  fs::remove(folder_ / "diffusion_pytorch_model.safetensors");
  fs::rename(folder_ / "diffusion_pytorch_model.bin", folder_ / "pytorch_model-00001-of-00001.bin");
  EXPECT_NE(error_of(folder_.path()).find("holds no weights"), std::string::npos);
  write_text(folder_ / "pytorch_model.bin.index.json",
             index_json(R"({"a":"pytorch_model-00001-of-00001.bin"})"));
  const auto sharded = open_weights(folder_.path());
  ASSERT_TRUE(sharded) << sharded.error().message;
  EXPECT_EQ(sharded->find("a")->shape, std::vector<int64_t>{2});
}

TEST_F(OpenWeights, AFolderGivesAShardedVariant) {
  write_one(folder_ / "m.fp16-00001-of-00001.safetensors", "a", 5);
  write_text(folder_ / "m.safetensors.index.fp16.json",
             index_json(R"({"a":"m.fp16-00001-of-00001.safetensors"})"));
  write_text(folder_ / "config.json", R"({"width":64})");
  const auto index = open_weights(folder_.path());
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(only_value(*index, "a"), 5);
  EXPECT_EQ(index->configs.at("").at("width").as_int64(), 64);
}

TEST_F(OpenWeights, AFolderWithoutWeightsSaysWhatIsNeeded) {
  write_text(folder_ / "training_args.bin", "PK");
  EXPECT_EQ(error_of(folder_.path()),
            folder_.path().string() +
                ": holds no weights; a .safetensors file, a .safetensors.index.json, a "
                "model_index.json or diffusers' .bin files are needed");
}

class DiffusersFolder : public OpenWeights {
 protected:
  DiffusersFolder() {
    write_text(folder_ / "model_index.json",
               R"({"_class_name":"StableDiffusionPipeline","_diffusers_version":"0.42.1",)"
               R"("requires_safety_checker":false,"safety_checker":[null,null],)"
               R"("scheduler":["diffusers","PNDMScheduler"],)"
               R"("text_encoder":["transformers","CLIPTextModel"],)"
               R"("tokenizer":["transformers","CLIPTokenizer"],)"
               R"("unet":["diffusers","UNet2DConditionModel"],)"
               R"("vae":["diffusers","AutoencoderKL"]})");
    write_text(folder_ / "scheduler/scheduler_config.json", "{}");
    write_text(folder_ / "tokenizer/tokenizer_config.json", "{}");
    for (const char* component : {"unet", "vae", "text_encoder"}) {
      write_text(folder_ / component / "config.json",
                 std::string(R"({"name":")") + component + "\"}");
    }
    write_one(folder_ / "unet/u-00001-of-00001.safetensors", "conv_in.weight", 1);
    write_text(folder_ / "unet/u.safetensors.index.json",
               index_json(R"({"conv_in.weight":"u-00001-of-00001.safetensors"})"));
    write_one(folder_ / "vae/v.fp16.safetensors", "x", 2);
    write_one(folder_ / "text_encoder/model.safetensors", "x", 3);
    write_one(folder_ / "text_encoder/model.fp16.safetensors", "x", 4);
  }
};

TEST_F(DiffusersFolder, JoinsItsComponents) {
  const auto index = open_weights(folder_.path());
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->size(), 3u);
  EXPECT_EQ(only_value(*index, "unet.conv_in.weight"), 1);
  EXPECT_EQ(only_value(*index, "vae.x"), 2);
  EXPECT_EQ(only_value(*index, "text_encoder.x"), 3);
  EXPECT_EQ(index->source_file("vae.x"), "vae/v.fp16.safetensors");
  EXPECT_EQ(index->configs.size(), 5u);  // with the scheduler's
  EXPECT_EQ(index->configs.at("unet").at("name").as_string(), "unet");
  EXPECT_EQ(index->configs.at("").at("_class_name").as_string(), "StableDiffusionPipeline");
}

TEST_F(DiffusersFolder, FollowsSymbolicLinks) {
  fs::rename(folder_ / "vae/v.fp16.safetensors", folder_ / "blob");
  fs::create_symlink("../blob", folder_ / "vae/v.safetensors");
  const auto index = open_weights(folder_.path());
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(only_value(*index, "vae.x"), 2);
}

TEST_F(DiffusersFolder, NamesTheComponentThatCannotBeRead) {
  write_text(folder_ / "vae/config.json", "{");
  EXPECT_EQ(error_of(folder_.path()).find("vae/config.json: bad JSON at byte"), 0u);
  write_text(folder_ / "vae/config.json", "{}");
  fs::resize_file(folder_ / "vae/v.fp16.safetensors", 20);
  EXPECT_EQ(error_of(folder_.path()).find("vae/v.fp16.safetensors: header length"), 0u);
  fs::remove(folder_ / "vae/v.fp16.safetensors");
  EXPECT_EQ(error_of(folder_.path()).find((folder_ / "vae").string() + ": holds no weights"), 0u);
}

TEST_F(DiffusersFolder, RefusesComponentsOutsideTheFolder) {
  write_text(folder_ / "model_index.json", R"({"../evil":["diffusers","UNet2DConditionModel"]})");
  EXPECT_EQ(error_of(folder_.path()),
            "model_index.json: component '../evil' is no plain folder name");
}

TEST_F(DiffusersFolder, WithoutAnyComponentHoldsNoWeights) {
  write_text(folder_ / "model_index.json", R"({"_class_name":"X","unet":[null,null]})");
  EXPECT_NE(error_of(folder_.path()).find("holds no weights"), std::string::npos);
}

}  // namespace
}  // namespace safelight::weights
