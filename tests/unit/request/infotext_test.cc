#include "request/infotext.h"

#include <gtest/gtest.h>

#include "support.h"

namespace safelight::request {
namespace {

Request apple() {
  Request request;
  request.prompt = "a red apple";
  request.negative_prompt = "blurry";
  request.seed = 1;
  request.width = request.height = 512;
  request.schedule = "Karras";
  request.model = "emoji";
  return request;
}

/// The left-over value of a key; "(none)" where there is none.
std::string rest_of(const ParsedInfotext& parsed, std::string_view key) {
  for (const auto& [each, value] : parsed.rest) {
    if (each == key) return value;
  }
  return "(none)";
}

TEST(ToInfotext, WritesSdWebuisOrder) {
  EXPECT_EQ(
      to_infotext(apple(), "0123456789", "Safelight 1.0"),
      "a red apple\n"
      "Negative prompt: blurry\n"
      "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, "
      "Size: 512x512, Model hash: 0123456789, Model: emoji, RNG: CPU, Version: Safelight 1.0");
}

TEST(ToInfotext, WritesWhatIsNotTheDefault) {
  Request request = apple();
  request.negative_prompt.clear();
  request.cfg_scale = 5.25;
  request.clip_skip = 2;
  request.subseed = 3;
  request.subseed_strength = 0.1;
  request.seed_resize_from_w = 256;
  request.seed_resize_from_h = 384;
  request.noise_source = "nv";
  request.eta_noise_seed_delta = 31337;
  request.emphasis = "no-norm";
  request.token_merging_ratio = 0.5;
  request.deep_cache_interval = 3;
  request.deep_cache_depth = 2;
  request.eta = 0;
  EXPECT_EQ(to_infotext(request, "", "1", {{"Guard", "blocked: a, b"}}),
            "a red apple\n"
            "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.25, Seed: 1, "
            "Size: 512x512, Model: emoji, Variation seed: 3, Variation seed strength: 0.1, "
            "Seed resize from: 256x384, Clip skip: 2, ENSD: 31337, RNG: NV, Emphasis: No norm, "
            "Token merging ratio: 0.5, Deep cache interval: 3, Deep cache depth: 2, "
            "Eta: 0, Guard: \"blocked: a, b\", Version: 1");
}

TEST(ToInfotext, BeginsWithoutAnEmptyLine) {
  EXPECT_TRUE(to_infotext(Request{}, "", "1").starts_with("Steps: 20"));
  Request request;
  request.negative_prompt = "n";
  EXPECT_TRUE(to_infotext(request, "", "1").starts_with("Negative prompt: n\nSteps: 20"));
}

TEST(ToInfotext, KeepsOrdinaryRequestsWithoutAnExtraKey) {
  for (const std::string_view prompt : {"", "a red apple", "two\nlines", "(a:1.2), [b], c: d",
                                        "一个红苹果 🍎", "a \"quoted\" word"}) {
    Request request = apple();
    request.prompt = prompt;
    const std::string text = to_infotext(request, "", "1");
    EXPECT_EQ(text.find("Safelight request"), std::string::npos) << text;
    EXPECT_EQ(parse_infotext(text).request, request) << text;
  }
}

TEST(ToInfotext, KeepsExactlyWhatTheFormatCannotHold) {
  for (const std::string_view prompt : {"a\nNegative prompt: not really", "Negative prompt: x",
                                        " leading", "a\nNegative prompt:"}) {
    Request request = apple();
    request.prompt = prompt;
    const std::string text = to_infotext(request, "", "1");
    EXPECT_NE(text.find(", Version: 1, Safelight request: \"{"), std::string::npos) << text;
    const ParsedInfotext parsed = parse_infotext(text);
    EXPECT_EQ(parsed.request, request) << text;
    EXPECT_EQ(rest_of(parsed, "Safelight request"), "(none)");
    EXPECT_EQ(rest_of(parsed, "Version"), "1");
  }
}

TEST(Infotext, AnyRequestComesBack) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    const Request request = random_request(seed);
    const std::string text = to_infotext(request, "0123456789", "Safelight 1.0", {{"a", "b: c"}});
    const ParsedInfotext parsed = parse_infotext(text);
    ASSERT_EQ(parsed.request, request) << seed << "\n" << text;
    ASSERT_EQ(rest_of(parsed, "Model hash"), "0123456789");
    ASSERT_EQ(rest_of(parsed, "a"), "b: c");
  }
}

TEST(ParseInfotext, ReadsSdWebui) {
  const ParsedInfotext parsed = parse_infotext(
      "masterpiece, (girl:1.2), <lora:x:0.8>\nsecond line: with a colon\n"
      "Negative prompt: lowres, text\nmore\n"
      "Steps: 28, Sampler: DPM++ 2M SDE, Schedule type: Exponential, CFG scale: 7.5, Seed: "
      "3141592653, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, VAE: x.pt, "
      "Variation seed: 12, Variation seed strength: 0.25, Seed resize from: 448x640, Denoising "
      "strength: 0.7, Clip skip: 2, ENSD: 31337, Hires upscale: 2, Lora hashes: \"x: 1234, y: "
      "5678\", Emphasis: No norm, Version: v1.10.1");
  const Request& request = parsed.request;
  EXPECT_EQ(request.prompt, "masterpiece, (girl:1.2), <lora:x:0.8>\nsecond line: with a colon");
  EXPECT_EQ(request.negative_prompt, "lowres, text\nmore");
  EXPECT_EQ(request.steps, 28);
  EXPECT_EQ(request.sampler, "DPM++ 2M SDE");
  EXPECT_EQ(request.schedule, "Exponential");
  EXPECT_EQ(request.cfg_scale, 7.5);
  EXPECT_EQ(request.seed, 3141592653);
  EXPECT_EQ(request.width, 512);
  EXPECT_EQ(request.height, 768);
  EXPECT_EQ(request.model, "v1-5-pruned-emaonly");
  EXPECT_EQ(request.subseed, 12);
  EXPECT_EQ(request.subseed_strength, 0.25);
  EXPECT_EQ(request.seed_resize_from_w, 448);
  EXPECT_EQ(request.seed_resize_from_h, 640);
  EXPECT_EQ(request.clip_skip, 2);
  EXPECT_EQ(request.eta_noise_seed_delta, 31337);
  EXPECT_EQ(request.emphasis, "no-norm");
  EXPECT_EQ(request.noise_source, "nv");  // no RNG: the GPU's
  EXPECT_EQ(request.vae, "x.pt");
  const ExtraParameters rest = {{"Model hash", "6ce0161689"},
                                {"Denoising strength", "0.7"},
                                {"Hires upscale", "2"},
                                {"Version", "v1.10.1"}};
  EXPECT_EQ(request.lora_hashes, "x: 1234, y: 5678");
  EXPECT_EQ(parsed.rest, rest);
  EXPECT_EQ(request.lora_hashes, "x: 1234, y: 5678");
}

TEST(ParseInfotext, ReadsSdWebuisNoiseSchedule) {
  const std::string text =
      "Steps: 20, Sampler: DPM fast, Schedule type: Polyexponential, CFG scale: 7, Seed: 1, RNG: "
      "CPU, Schedule min sigma: 0.1, Schedule max sigma: 10, Schedule rho: 5, Beta schedule alpha: "
      "0.5, Beta schedule beta: 0.7, Discard penultimate sigma: True";
  const Request request = parse_infotext(text).request;
  EXPECT_EQ(request.sampler, "DPM fast");
  EXPECT_EQ(request.schedule, "Polyexponential");
  EXPECT_EQ(request.sigma_min, 0.1);
  EXPECT_EQ(request.sigma_max, 10);
  EXPECT_EQ(request.rho, 5);
  EXPECT_EQ(request.beta_alpha, 0.5);
  EXPECT_EQ(request.beta_beta, 0.7);
  EXPECT_EQ(request.discard_penultimate_sigma, "on");
  EXPECT_EQ(to_infotext(request, "", "1"), text + ", Version: 1");
}

TEST(ParseInfotext, ReadsPartsAndVariantsOfModels) {
  const ParsedInfotext parsed = parse_infotext(
      "a cat\nSteps: 25, Sampler: Euler a, Schedule type: Automatic, CFG scale: 5, Seed: 1, "
      "Size: 1024x1024, Model hash: 31e35c80fc, Model: sd_xl_base_1.0, VAE hash: 63aeecb90f, "
      "VAE: sdxl_vae.safetensors, Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, "
      "Noise Schedule: Zero Terminal SNR, VAE Decoder: TAESD, Version: v1.10.1");
  const Request& request = parsed.request;
  EXPECT_EQ(request.vae, "sdxl_vae.safetensors");
  EXPECT_EQ(request.refiner, "sd_xl_refiner_1.0 [7440042bbd]");
  EXPECT_EQ(request.refiner_switch_at, 0.8);
  EXPECT_EQ(request.noise_schedule, "zero-terminal-snr");
  EXPECT_EQ(request.vae_decoder, "taesd");
  EXPECT_EQ(rest_of(parsed, "VAE hash"), "63aeecb90f");
  const std::string text = to_infotext(request, "", "test");
  EXPECT_NE(text.find("Refiner switch at: 0.8"), std::string::npos);  // though it is the default
  EXPECT_NE(text.find("Noise Schedule: Zero Terminal SNR, VAE Decoder: TAESD"), std::string::npos);
  EXPECT_EQ(parse_infotext(text).request, request);
}

TEST(ParseInfotext, ReadsOldSamplerNames) {
  const auto sampler_of = [](std::string_view name) {
    const Request request =
        parse_infotext("p\nSteps: 20, Sampler: " + std::string(name) + ", Seed: 1").request;
    return request.sampler + "|" + request.schedule;
  };
  EXPECT_EQ(sampler_of("DPM++ 2M Karras"), "DPM++ 2M|Karras");
  EXPECT_EQ(sampler_of("DPM++ 2M SDE Exponential"), "DPM++ 2M SDE|Exponential");
  EXPECT_EQ(sampler_of("Euler a"), "Euler a|Automatic");
  EXPECT_EQ(sampler_of("Karras"), "Karras|Automatic");
  EXPECT_EQ(sampler_of("DPM++ 2M Karras, Schedule type: Automatic"), "DPM++ 2M Karras|Automatic");
}

TEST(ParseInfotext, ReadsForge) {
  const ParsedInfotext parsed = parse_infotext(
      "a cat\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: "
      "3.5, Seed: 2, Size: 896x1152, Model hash: c161224931, Model: flux1-dev, RNG: CPU, Module 1: "
      "ae, Version: f2.0.1v1.10.1-previous-665-gae278f79");
  EXPECT_EQ(parsed.request.schedule, "Simple");
  EXPECT_EQ(parsed.request.cfg_scale, 1);
  EXPECT_EQ(parsed.request.noise_source, "cpu");
  EXPECT_EQ(rest_of(parsed, "Distilled CFG Scale"), "3.5");
  EXPECT_EQ(rest_of(parsed, "Module 1"), "ae");
}

TEST(ParseInfotext, ReadsSdNext) {
  const ParsedInfotext parsed = parse_infotext(
      "a cat\nNegative prompt: dog\nSteps: 20, Size: 1024x768, Sampler: DPM++ 2M, Scheduler: "
      "Karras, "
      "Seed: 5, CFG scale: 6, CFG rescale: 0.5, CFG end: 0.8, CFG true: 3, CFG adaptive: 0.5, "
      "CLiP-skip: 2, App: SD.Next, Version: "
      "6b5e6b2, Pipeline: StableDiffusionPipeline, Model: dreamshaper, Model hash: 879db523c3");
  const Request& request = parsed.request;
  EXPECT_EQ(request.width, 1024);
  EXPECT_EQ(request.height, 768);
  EXPECT_EQ(request.schedule, "Karras");
  EXPECT_EQ(request.cfg_rescale, 0.5);
  EXPECT_EQ(request.guidance_end, 0.8);
  EXPECT_EQ(request.pag_scale, 3);
  EXPECT_EQ(request.pag_adaptive, 0.5);
  EXPECT_EQ(request.clip_skip, 2);
  EXPECT_EQ(request.model, "dreamshaper");
  EXPECT_EQ(rest_of(parsed, "App"), "SD.Next");
}

/// As SD WebUI writes its own options and the extensions that its users have.
TEST(ParseInfotext, ReadsGuidance) {
  const ParsedInfotext parsed = parse_infotext(
      "a cat\nSteps: 20, Sampler: Euler, CFG scale: 20, Seed: 2, Skip Early CFG: 0.2, NGMS: 3.5, "
      "NGMS all steps: True, Dynamic thresholding enabled: True, Mimic scale: 8, Separate Feature "
      "Channels: False, Scaling Startpoint: ZERO, Variability Measure: STD, Interpolate Phi: 0.7, "
      "Threshold percentile: 99.5, Mimic mode: Half Cosine Up, Mimic scale minimum: 3, CFG mode: "
      "Linear Down, CFG scale minimum: 4, Power scheduler value: 2, SAG Guidance Scale: 0.75, SAG "
      "Mask Threshold: 1.1, PAG scale: 3, Version: v1.10.1");
  Request want;
  want.prompt = "a cat";
  want.sampler = "Euler";
  want.cfg_scale = 20;
  want.seed = 2;
  want.noise_source = "nv";
  want.skip_early_cond = 0.2;
  want.s_min_uncond = 3.5;
  want.s_min_uncond_all = "on";
  want.guidance = "dynamic-threshold";
  want.dynthres_mimic_scale = 8;
  want.dynthres_separate_feature_channels = "off";
  want.dynthres_scaling_startpoint = "zero";
  want.dynthres_variability_measure = "std";
  want.dynthres_interpolate_phi = 0.7;
  want.dynthres_threshold_percentile = 99.5;
  want.dynthres_mimic_mode = "half-cosine-up";
  want.dynthres_mimic_scale_min = 3;
  want.dynthres_cfg_mode = "linear-down";
  want.dynthres_cfg_scale_min = 4;
  want.dynthres_sched_val = 2;
  want.sag_scale = 0.75;
  want.sag_mask_threshold = 1.1;
  want.pag_scale = 3;
  EXPECT_EQ(to_json(parsed.request), to_json(want));
  EXPECT_EQ(parsed.rest, (ExtraParameters{{"Version", "v1.10.1"}}));
}

TEST(ToInfotext, WritesGuidanceAsItIsRead) {
  Request request;
  request.guidance = "dynamic-threshold";
  request.dynthres_cfg_mode = "half-cosine-down";
  const std::string text = to_infotext(request, "", "1", {});
  EXPECT_NE(text.find(", Dynamic thresholding enabled: True, Mimic scale: 7, Threshold percentile: "
                      "100, CFG mode: Half Cosine Down, Version"),
            std::string::npos)
      << text;
  request = {};
  request.guidance = "zero-star";
  request.pag_scale = 2.5;
  EXPECT_NE(to_infotext(request, "", "1", {}).find(", Guidance: Zero, PAG scale: 2.5, Version"),
            std::string::npos);
}

TEST(ParseInfotext, LinesThatLookLikeParametersStayPrompt) {
  const Request inner =
      parse_infotext("Steps: 1, Sampler: a, Seed: 2\nmore\nSteps: 5, Sampler: Euler, Seed: 7")
          .request;
  EXPECT_EQ(inner.prompt, "Steps: 1, Sampler: a, Seed: 2\nmore");
  EXPECT_EQ(inner.seed, 7);
  // Fewer than three are a line of the prompt.
  EXPECT_EQ(parse_infotext("a\nSteps: 5, Seed: 7").request.prompt, "a\nSteps: 5, Seed: 7");
  EXPECT_EQ(parse_infotext("just a prompt").request.prompt, "just a prompt");
  EXPECT_EQ(parse_infotext("just a prompt").request.noise_source, "cpu");
}

TEST(ParseInfotext, ValuesThatCannotBeAreLeftOver) {
  const ParsedInfotext parsed = parse_infotext(
      "p\nSteps: many, Sampler: Euler, Seed: 1e5, Size: 512xbig, RNG: dice, Emphasis: None, Eta: "
      "x, "
      "Seed resize from: 0x0, CFG scale: nan, Clip skip: 99999999999999999999");
  EXPECT_EQ(parsed.request.steps, 20);
  EXPECT_EQ(parsed.request.seed, -1);
  EXPECT_EQ(parsed.request.width, 0);
  EXPECT_EQ(parsed.request.noise_source, "cpu");
  EXPECT_EQ(parsed.request.emphasis, "original");
  EXPECT_EQ(parsed.request.cfg_scale, 7);
  EXPECT_EQ(parsed.rest.size(), 9U);
  EXPECT_EQ(rest_of(parsed, "Size"), "512xbig");
  EXPECT_EQ(rest_of(parsed, "Emphasis"), "None");
}

TEST(ParseInfotext, QuotedValuesAreJson) {
  const ParsedInfotext parsed =
      parse_infotext(R"(p)"
                     "\n"
                     R"(Steps: 5, Model: "a, \"b\": c\n", Sampler: Euler, Note: "open, Seed: 7)");
  EXPECT_EQ(parsed.request.model, "a, \"b\": c\n");
  EXPECT_EQ(rest_of(parsed, "Note"), "\"open");
  EXPECT_EQ(parsed.request.seed, 7);
}

TEST(ParseInfotext, DamagedExactRequestIsIgnored) {
  const ParsedInfotext parsed = parse_infotext(
      "p\nSteps: 5, Sampler: Euler, Seed: 7, Safelight request: \"{\\\"steps\\\": []}\"");
  EXPECT_EQ(parsed.request.steps, 5);
  EXPECT_EQ(rest_of(parsed, "Safelight request"), "{\"steps\": []}");
}

TEST(ParseInfotext, TakesAnything) {
  for (const std::string_view text :
       {"", "\n", ":", ",", "::,:", "\"", ": \"", "a:\"\\", "x: ,y: ,z: "}) {
    const ParsedInfotext parsed = parse_infotext(text);
    EXPECT_EQ(parsed.request.steps, 20) << text;
  }
  EXPECT_EQ(parse_infotext("Negative prompt:").request.prompt, "");
}

TEST(ParseInfotext, IsLinearInLongTexts) {
  std::string text = "p\n";
  for (int i = 0; i < 200000; ++i) text += "a: b, ";
  text += std::string(1 << 20, ',') + "Steps: 5";
  EXPECT_EQ(parse_infotext(text).request.steps, 5);
}

}  // namespace
}  // namespace safelight::request
