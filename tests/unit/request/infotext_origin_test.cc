// Generation texts in the forms that SD WebUI (AUTOMATIC1111), its forks and extensions, SD.Next
// and Civitai write, each with the request that draws the same picture.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "request/infotext.h"

namespace safelight::request {
namespace {

struct Case {
  const char *name, *text, *request;
};

const Case kCases[] = {
    {"SdWebui1_10",
     "a castle, <lora:Add Detail:0.6>, easynegative\n"
     "Negative prompt: bad\n"
     "Steps: 30, Sampler: DPM++ 2M SDE, Schedule type: Karras, CFG scale: 6.5, Seed: 12345, Size: "
     "640x960, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Clip skip: 2, RNG: CPU, Lora "
     "hashes: \"Add Detail: 7c6bad76eb54\", TI hashes: \"easynegative: c74b4e810b03\", Emphasis: "
     "No "
     "norm, Version: v1.10.1",
     R"({"prompt":"a castle, <lora:Add Detail:0.6>, easynegative","negative_prompt":"bad",
         "model":"v1-5-pruned-emaonly","steps":30,"sampler":"DPM++ 2M SDE","schedule":"Karras",
         "cfg_scale":6.5,"seed":12345,"width":640,"height":960,"clip_skip":2,"emphasis":"no-norm",
         "lora_hashes":"Add Detail: 7c6bad76eb54","embedding_hashes":"easynegative: c74b4e810b03"})"},
    {"SdWebui1_6WithTheScheduleInTheName",
     "x\nSteps: 20, Sampler: DPM++ SDE Karras, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: "
     "cc6cb27103, Model: v1-5, Version: v1.6.0",
     R"({"prompt":"x","model":"v1-5","steps":20,"sampler":"DPM++ SDE","schedule":"Karras","seed":1,
         "width":512,"height":512,"noise_source":"nv"})"},
    {"SdWebui1_6WithoutASchedule",  // then it was the uniform one, whatever it is now
     "x\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1, Size: 512x512, Version: v1.6.0",
     R"({"prompt":"x","sampler":"DPM++ 2M","schedule":"Uniform","seed":1,"width":512,"height":512,
         "noise_source":"nv"})"},
    {"SdWebuiOf2022",
     "girl with an artist's beret, ((eyeshadow)), [blurry]\nNegative prompt: ugly, (((deformed)))\n"
     "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model hash: "
     "45dee52b",
     R"j({"prompt":"girl with an artist's beret, ((eyeshadow)), [blurry]",
         "negative_prompt":"ugly, (((deformed)))","model":"45dee52b","sampler":"Euler a",
         "seed":965400086,"width":512,"height":512,"noise_source":"nv"})j"},
    {"SdWebuiWithSigmas",
     "x\nSteps: 20, Sampler: Euler, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: "
     "512x512, "
     "ENSD: 31337, Eta: 0.5, Sigma churn: 2, Sigma tmin: 0.1, Sigma tmax: 10, Sigma noise: 1.003, "
     "Version: v1.10.1",
     R"({"prompt":"x","sampler":"Euler","seed":1,"width":512,"height":512,"noise_source":"nv",
         "eta_noise_seed_delta":31337,"eta":0.5,"s_churn":2,"s_tmin":0.1,"s_tmax":10,
         "s_noise":1.003})"},
    {"SdWebuiDdim",
     "x\nSteps: 20, Sampler: DDIM, Schedule type: Automatic, CFG scale: 7, Seed: 1, Eta DDIM: "
     "0.25, "
     "RNG: CPU, Version: v1.10.1",
     R"({"prompt":"x","sampler":"DDIM","seed":1,"eta":0.25})"},
    {"HypernetworkOf2022",
     "x\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Hypernet: face, Hypernet strength: 0.75",
     R"({"prompt":"x\n<hypernet:face:0.75>","sampler":"Euler","seed":1,"noise_source":"nv"})"},
    {"AdditionalNetworks",
     "x\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, AddNet Enabled: True, AddNet Module "
     "1: "
     "LoRA, AddNet Model 1: my lora(0123456789ab), AddNet Weight A 1: 0.8, AddNet Weight B 1: 0.5",
     R"({"prompt":"x\n<lora:my lora:0.5:0.8>","sampler":"Euler a","seed":1,"noise_source":"nv"})"},
    {"DynamicPrompts",
     "a red cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG "
     "scale: 7, Seed: 1, RNG: CPU, Version: v1.10.1\nTemplate: a {red|green: lime, x: y, z: w} "
     "cat\n"
     "Negative Template: {dog|cow}",
     R"({"prompt":"a red cat","negative_prompt":"dog","sampler":"Euler a","seed":1})"},
    {"Forge",
     "x\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, "
     "Seed: 2, Size: 896x1152, Model hash: c161224931, Model: m, RNG: CPU, Version: "
     "f2.0.1v1.10.1-previous-665-gae278f79",
     R"({"prompt":"x","model":"m","sampler":"Euler","schedule":"Simple","cfg_scale":1,"seed":2,
         "width":896,"height":1152})"},
    {"SdNext",
     "a cat <lora:detail:0.5>\nNegative prompt: dog\nTemplate: a {cat|dog}\nSteps: 25, Size: "
     "1024x768, Sampler: DPM++ 2M, Scheduler: DPMSolverMultistepScheduler, Seed: 5, CFG scale: 6, "
     "CFG end: 0.8, CLiP-skip: 2.0, App: SD.Next, Version: 6b5e6b2, Parser: a1111, Pipeline: "
     "StableDiffusionPipeline, Operations: txt2img, Model: dreamshaper, Model hash: 879db523c3, "
     "Variation seed: 3, Variation strength: 0.5, Sampler eta delta: 31337, Sampler sigma: karras, "
     "LoRA networks: detail, LoRA hashes: 7c6bad76eb54",
     R"({"prompt":"a cat <lora:detail:0.5>","negative_prompt":"dog","model":"dreamshaper",
         "steps":25,"sampler":"DPM++ 2M","schedule":"Karras","cfg_scale":6,"seed":5,"width":1024,
         "height":768,"clip_skip":2,"subseed":3,"subseed_strength":0.5,"noise_source":"nv",
         "eta_noise_seed_delta":31337,"guidance_end":0.8,"lora_hashes":"detail: 7c6bad76eb54"})"},
    {"SdNextDefaultSampler",
     "x\nNegative prompt: \nSteps: 20, Size: 512x512, Scheduler: EulerAncestralDiscreteScheduler, "
     "Seed: 5, CFG scale: 6, App: SD.Next, Version: 6b5e6b2, Pipeline: StableDiffusionPipeline",
     R"({"prompt":"x","sampler":"Euler a","cfg_scale":6,"seed":5,"width":512,"height":512,
         "noise_source":"nv"})"},
    {"SdNextOfOld",
     "x\nSteps: 20, Sampler: DPM++ 2M, Scheduler: Karras, Seed: 5, CFG scale: 6, App: SD.Next",
     R"({"prompt":"x","schedule":"Karras","cfg_scale":6,"seed":5,"noise_source":"nv"})"},
    {"Civitai",
     "x\nSteps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 9, Size: 832x1216, Clip skip: 2, "
     "Created Date: 2024-05-20T1023, Civitai resources: "
     "[{\"type\":\"checkpoint\",\"modelVersionId\":290640,\"modelName\":\"Pony: Seed, Steps: "
     "3\"}], "
     "Civitai metadata: {}",
     R"({"prompt":"x","steps":30,"sampler":"DPM++ 2M","schedule":"Karras","seed":9,"width":832,
         "height":1216,"clip_skip":2,"noise_source":"nv"})"},
    {"HashesInJson",
     "x <lora:a:1>\nSteps: 20, Sampler: Euler, Schedule type: Normal, Seed: 1, RNG: CPU, Hashes: "
     "{\"vae\": \"1\", \"model\": \"abcdef0123\", \"lora:a\": \"0123456789\", \"embed:b\": "
     "\"9876543210\"}, Version: v1.10.1",
     R"({"prompt":"x <lora:a:1>","model":"abcdef0123","sampler":"Euler","schedule":"Normal",
         "seed":1,"lora_hashes":"a: 0123456789","embedding_hashes":"b: 9876543210"})"},
    {"TextThatLooksLikeAChoice",
     "a {b|c} __d__\nSteps: 20, Sampler: Euler, Schedule type: Normal, Seed: 1, RNG: CPU, Version: "
     "v1.10.1",
     R"({"prompt":"a {b|c} __d__","sampler":"Euler","schedule":"Normal","seed":1,
         "wildcards":"off"})"},
    {"SdNextPlainParser", "a (b)\nSteps: 20, Sampler: Euler, Seed: 1, App: SD.Next, Parser: fixed",
     R"j({"prompt":"a (b)","sampler":"Euler","seed":1,"noise_source":"nv","prompt_syntax":"fixed"})j"},
    {"Ours",
     "x\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7, Seed: 1, RNG: CPU, "
     "Version: Safelight 0.1.0",
     R"({"prompt":"x","seed":1})"},
};

class InfotextOf : public ::testing::TestWithParam<Case> {};

TEST_P(InfotextOf, IsTheRequest) {
  const auto want = from_json(boost::json::parse(GetParam().request));
  ASSERT_TRUE(want.ok()) << want.error().message;
  const Request got = parse_infotext(GetParam().text).request;
  EXPECT_EQ(boost::json::serialize(to_json(got)), boost::json::serialize(to_json(*want)));
  EXPECT_TRUE(validate(got).ok());
  // Written by us it is the same again, without the exact form.
  const std::string written = to_infotext(got, "0123456789", "Safelight 1");
  EXPECT_EQ(written.find("Safelight request"), std::string::npos) << written;
  EXPECT_EQ(parse_infotext(written).request, got) << written;
}

INSTANTIATE_TEST_SUITE_P(Infotext, InfotextOf, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(InfotextOrigin, WhatIsNotUnderstoodIsKept) {
  const ParsedInfotext parsed = parse_infotext(
      "x\nSteps: 30, Sampler: Euler, Seed: 9, Civitai resources: [{\"a\":\"b: c, d\"}], Hires "
      "upscale: 2, App: SD.Next, Parser: compel\nTemplate: {x|y}\nof two lines");
  const ExtraParameters want = {{"Civitai resources", R"([{"a":"b: c, d"}])"},
                                {"Hires upscale", "2"},
                                {"App", "SD.Next"},
                                {"Parser", "compel"},
                                {"Template", "{x|y}\nof two lines"}};
  EXPECT_EQ(parsed.rest, want);
  EXPECT_EQ(parsed.request.prompt, "x");
}

TEST(InfotextOrigin, EtaOfDdimIsApart) {
  Request request;
  request.sampler = "DDIM";
  request.eta = 0.5;
  EXPECT_NE(to_infotext(request, "", "1").find(", Eta DDIM: 0.5,"), std::string::npos);
  request.sampler = "Euler a";
  EXPECT_NE(to_infotext(request, "", "1").find(", Eta: 0.5,"), std::string::npos);
}

TEST(InfotextOrigin, IsLinearInLongTexts) {
  std::string text = "p\n";
  for (int i = 0; i < 100000; ++i) text += "a: {, b: [\", Model: \", Scheduler: x, ";
  EXPECT_EQ(parse_infotext(text + "Steps: 5").request.steps, 5);
}

}  // namespace
}  // namespace safelight::request
