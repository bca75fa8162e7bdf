// Graphs and metadata in the documented forms of ComfyUI, InvokeAI and NovelAI.
#include "request/foreign_metadata.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "request/infotext.h"

namespace safelight::request {
namespace {

std::string request_of(const PictureTexts& texts) {
  const auto text = foreign_infotext(texts);
  return text ? boost::json::serialize(to_json(parse_infotext(*text).request)) : "(none)";
}

std::string request_of_graph(const std::string& graph) { return request_of({{"prompt", graph}}); }

const std::string kClips = R"j(
  "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat, (red:1.2)",
                  "clip" : [ "10", 0 ]
}
},
  "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["10", 0]}},
  "10": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["4", 1]}},
  "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15/v1-5.safetensors"}},
  "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 2}})j";

TEST(ComfyGraph, OfAKSampler) {
  const std::string graph = "{" + kClips + R"(,
    "3": {"class_type": "KSampler", "is_changed": [NaN], "inputs": {"seed": 156680208700286,
      "steps": 25, "cfg": 8.0, "sampler_name": "dpmpp_2m_sde_gpu", "scheduler": "karras",
      "denoise": 1.0, "model": ["11", 0], "positive": ["6", 0], "negative": ["7", 0],
      "latent_image": ["5", 0]}},
    "11": {"class_type": "LoraLoader", "inputs": {"lora_name": "sub\\second.safetensors",
      "strength_model": 0.5, "strength_clip": 0.25, "model": ["12", 0], "clip": ["12", 1]}},
    "12": {"class_type": "LoraLoader", "inputs": {"lora_name": "first.safetensors",
      "strength_model": 1, "strength_clip": 1, "model": ["4", 0], "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}}})";
  EXPECT_EQ(
      request_of_graph(graph),
      R"j({"prompt":"a cat, (red:1.2)<lora:first:1><lora:second:0.25:0.5>",)j"
      R"("negative_prompt":"dog","model":"v1-5","steps":25,"sampler":"DPM++ 2M SDE",)"
      R"("schedule":"Karras","cfg_scale":8E0,"seed":156680208700286,"width":512,"height":768,)"
      R"("clip_skip":2,"emphasis":"comfyui","prompt_syntax":"comfyui"})");
}

TEST(ComfyGraph, OfSamplerCustomAdvanced) {
  const std::string graph = "{" + kClips + R"(,
    "20": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["21", 0], "guider": ["22", 0],
      "sampler": ["23", 0], "sigmas": ["24", 0], "latent_image": ["5", 0]}},
    "21": {"class_type": "RandomNoise", "inputs": {"noise_seed": ["30", 0]}},
    "30": {"class_type": "PrimitiveInt", "inputs": {"value": 77}},
    "22": {"class_type": "CFGGuider", "inputs": {"cfg": 4.5, "model": ["4", 0], "positive": ["25", 0],
      "negative": ["7", 0]}},
    "25": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["6", 0],
      "negative": ["7", 0], "strength": 1}},
    "23": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler_ancestral"}},
    "24": {"class_type": "BasicScheduler", "inputs": {"scheduler": "sgm_uniform", "steps": 12,
      "denoise": 1, "model": ["4", 0]}}})";
  EXPECT_EQ(
      request_of_graph(graph),
      R"j({"prompt":"a cat, (red:1.2)","negative_prompt":"dog","model":"v1-5","steps":12,)j"
      R"("sampler":"Euler a","schedule":"SGM Uniform","cfg_scale":4.5E0,"seed":77,)"
      R"("width":512,"height":768,"clip_skip":2,"emphasis":"comfyui","prompt_syntax":"comfyui"})");
}

TEST(ComfyGraph, TakesThePassThatBegins) {
  const std::string graph = R"({
    "1": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 5, "latent_image": ["2", 0]}},
    "2": {"class_type": "LatentUpscale", "inputs": {"samples": ["13", 0]}},
    "13": {"class_type": "KSampler", "inputs": {"seed": 2, "steps": 9, "latent_image": ["4", 0]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64}}})";
  EXPECT_EQ(request_of_graph(graph),
            R"({"steps":9,"seed":2,"width":64,"height":64,"emphasis":"comfyui",)"
            R"("prompt_syntax":"comfyui"})");
}

TEST(ComfyGraph, OtherTextsAndCyclesEnd) {
  for (const char* graph : {"", "no json", "[]", "{}", R"({"1": 2})", R"({"1": {"class_type": 3}})",
                            R"({"1": {"class_type": "SaveImage", "inputs": {}}})"}) {
    EXPECT_EQ(request_of_graph(graph), "(none)") << graph;
  }
  const std::string nothing = R"({"emphasis":"comfyui","prompt_syntax":"comfyui"})";
  EXPECT_EQ(request_of_graph(R"({"1": {"class_type": "KSampler"}})"), nothing);
  std::string cycle = R"({"1": {"class_type": "KSampler", "inputs": {"latent_image": ["1", 0],
    "model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "seed": ["2", 0]}}, "2": {"inputs": {)";
  for (const char* name : {"text", "string", "value", "text_g", "prompt", "seed", "conditioning"})
    cycle += std::string("\"") + name + R"(": ["2", 0],)";
  cycle.back() = '}';
  EXPECT_EQ(request_of_graph(cycle + "}}"), nothing);
}

TEST(ForeignMetadata, OfInvokeAi) {
  const std::string metadata = R"({"app_version": "4.2.0", "generation_mode": "txt2img",
    "positive_prompt": "a cat", "negative_prompt": "dog", "width": 512, "height": 768, "seed": 42,
    "rand_device": "cpu", "cfg_scale": 6.5, "cfg_rescale_multiplier": 0.7, "steps": 30,
    "scheduler": "dpmpp_2m_k", "clip_skip": 0, "model": {"name": "dreamshaper", "base": "sd-1"},
    "loras": [{"model": {"name": "detail"}, "weight": 0.75}, {"lora": {"model_name": "old"}}]})";
  EXPECT_EQ(request_of({{"invokeai_metadata", metadata}}),
            R"({"prompt":"a cat<lora:detail:0.75><lora:old:1>","negative_prompt":"dog",)"
            R"("model":"dreamshaper","steps":30,"schedule":"Karras","cfg_scale":6.5E0,"seed":42,)"
            R"("width":512,"height":768,"cfg_rescale":7E-1})");
}

TEST(ForeignMetadata, OfNovelAi) {
  const std::string comment = R"({"steps": 28, "sampler": "k_euler_ancestral", "seed": 3,
    "strength": 0.69, "noise": 0.667, "scale": 11.0, "uc": "lowres"})";
  EXPECT_EQ(request_of({{"Software", "NovelAI"}, {"Description", "a cat"}, {"Comment", comment}}),
            R"({"prompt":"a cat","negative_prompt":"lowres","steps":28,"sampler":"Euler a",)"
            R"("cfg_scale":1.1E1,"seed":3,"clip_skip":2,"noise_source":"nv",)"
            R"("eta_noise_seed_delta":31337})");
  EXPECT_EQ(request_of({{"Software", "GIMP"}, {"Comment", comment}}), "(none)");
}

}  // namespace
}  // namespace safelight::request
