#include "request/request.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "base/json.h"
#include "request/filename.h"
#include "request/infotext.h"

namespace safelight::request {
namespace {

Result<Request> read(const std::string& text, bool lenient = false) {
  return from_json(*parse_json(text), {.ignore_unknown = lenient});
}

TEST(Fields, HaveDifferentKeys) {
  std::set<std::string> keys;
  for (const Field& field : fields()) {
    EXPECT_TRUE(keys.insert(std::string(field.key)).second) << field.key;
    EXPECT_FALSE(field.help.empty()) << field.key;
    EXPECT_EQ(find_field(field.key), &field);
  }
  EXPECT_EQ(find_field("sampler_name"), find_field("sampler"));
  EXPECT_EQ(find_field("nothing"), nullptr);
}

TEST(Json, ReadsFieldsAndAliases) {
  const auto request =
      read(R"({"prompt": "a cat", "sampler_name": "Euler a", "n_iter": 3, "cfg_scale": 5.5,
                                "seed": 12345678901, "width": 512, "height": null, "eta": 0.5})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->prompt, "a cat");
  EXPECT_EQ(request->sampler, "Euler a");
  EXPECT_EQ(request->batch_count, 3);
  EXPECT_EQ(request->seed, 12345678901);
  EXPECT_EQ(request->height, 0);
  EXPECT_EQ(request->eta, 0.5);
}

TEST(Json, NamesWhatIsWrong) {
  EXPECT_EQ(read(R"({"promt": "x"})").error().message,
            "the request has an unknown field 'promt'; did you mean 'prompt'?");
  EXPECT_TRUE(read(R"({"promt": "x"})", true).ok());
  EXPECT_EQ(read(R"({"steps": 2.5})").error().message, "steps is 2.5E0; a whole number is needed");
  EXPECT_EQ(read(R"({"steps": "many"})").error().message,
            "steps is 'many'; a whole number is needed");
  EXPECT_EQ(read(R"({"prompt": 3})").error().message, "prompt is 3; a text is needed");
  EXPECT_FALSE(read("[]").ok());
  EXPECT_FALSE(read(R"({"cfg_scale": "nan"})").ok());
}

std::string fault(const std::string& json) {
  const auto request = read(json);
  if (!request) return request.error().message;
  const Status good = validate(*request);
  return good ? "" : good.error().message;
}

TEST(Validate, SaysWhatIsPossible) {
  EXPECT_EQ(fault("{}"), "");
  EXPECT_EQ(fault(R"({"steps": 0})"), "steps is 0; 1 to 1000 is possible");
  EXPECT_EQ(fault(R"({"width": 130})"),
            "width is 130; it must be a multiple of 8, such as 128 or 136");
  EXPECT_EQ(fault(R"({"width": 56})"), "width is 56; at least 64 is needed");
  EXPECT_EQ(fault(R"({"width": 8192, "height": 8192})"),
            "8192 x 8192 are 67108864 pixels; at most 16777216 are drawn");
  EXPECT_EQ(fault(R"({"noise_source": "gpu"})"), "noise_source is 'gpu'; one of cpu, nv is needed");
  EXPECT_EQ(fault(R"({"guidance_start": 0.8, "guidance_end": 0.2})"),
            "guidance_start is 0.8, behind guidance_end 0.2");
  EXPECT_NE(fault(R"({"seed_resize_from_w": 512})"), "");
  EXPECT_NE(fault(R"({"cfg_scale": 1e300})"), "");
  Request request;
  request.prompt = "a\xff";
  EXPECT_EQ(validate(request).error().message,
            "prompt is not valid UTF-8 at byte 1; UTF-8 text is needed");
  request.prompt = std::string("a\0b", 3);
  EXPECT_FALSE(validate(request).ok());
  request.prompt = std::string(kMaxPromptBytes + 1, 'a');
  EXPECT_FALSE(validate(request).ok());
}

TEST(Infotext, IsWrittenAsSdWebuiWritesIt) {
  Request request;
  request.prompt = "a cat";
  request.negative_prompt = "dog";
  request.seed = 1;
  request.width = 512;
  request.height = 768;
  request.model = "name";
  request.clip_skip = 2;
  EXPECT_EQ(to_infotext(request, "abc1234567", "v1"),
            "a cat\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, "
            "CFG scale: 7, Seed: 1, "
            "Size: 512x768, Model hash: abc1234567, Model: name, Clip skip: 2, Version: v1");
}

// Texts as SD WebUI 1.10, Forge and SD.Next write them.
TEST(Infotext, ReadsThoseOfOthers) {
  const auto webui = parse_infotext(
      "masterpiece, (cat:1.2)\nsecond line\nNegative prompt: bad\nworse\nSteps: 28, Sampler: Euler "
      "a, Schedule type: "
      "Karras, CFG scale: 6.5, Seed: 4294967295, Size: 640x384, Model hash: 0123456789, Model: "
      "some_model, Denoising "
      "strength: 0.5, ENSD: 31337, Lora hashes: \"a: 1, b: 2\", RNG: NV, Version: v1.10.1");
  EXPECT_EQ(webui.request.prompt, "masterpiece, (cat:1.2)\nsecond line");
  EXPECT_EQ(webui.request.negative_prompt, "bad\nworse");
  EXPECT_EQ(webui.request.steps, 28);
  EXPECT_EQ(webui.request.schedule, "Karras");
  EXPECT_EQ(webui.request.cfg_scale, 6.5);
  EXPECT_EQ(webui.request.seed, 4294967295);
  EXPECT_EQ(webui.request.width, 640);
  EXPECT_EQ(webui.request.eta_noise_seed_delta, 31337);
  EXPECT_EQ(webui.request.noise_source, "nv");
  ASSERT_EQ(webui.rest.size(), 4U);
  EXPECT_EQ(webui.rest[2], (std::pair<std::string, std::string>("Lora hashes", "a: 1, b: 2")));

  const auto sdnext = parse_infotext(
      "cat\nSteps: 20, Size: 512x512, Sampler: Euler a, Scheduler: Karras, Seed: 5, CFG scale: 6, "
      "App: SD.Next");
  EXPECT_EQ(sdnext.request.schedule, "Karras");
  EXPECT_EQ(sdnext.request.seed, 5);

  const auto old =
      parse_infotext("cat\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1");
  EXPECT_EQ(old.request.sampler, "DPM++ 2M Karras");

  const auto words = parse_infotext("just: words, and more");
  EXPECT_EQ(words.request.prompt, "just: words, and more");
}

TEST(Infotext, KeepsEveryRequestExactly) {
  const std::vector<std::string> nasty{"",
                                       "cat",
                                       "two\nlines",
                                       "x\nNegative prompt: y",
                                       "Steps: 1, a: b, c: d",
                                       "ends\nSteps: 20, Seed: 3, Size: 8x8",
                                       "\n\n lead and trail \n",
                                       "quotes \" and, colons: here",
                                       "猫 😀 \\(x\\)",
                                       "Negative prompt:"};
  std::mt19937 random(3);
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int trial = 0; trial < 500; ++trial) {
    Request request;
    request.prompt = nasty[static_cast<size_t>(pick(0, 9))];
    request.negative_prompt = nasty[static_cast<size_t>(pick(0, 9))];
    request.model = trial % 3 ? "plain" : "odd, \"name\": x";
    request.seed = pick(0, int64_t{1} << 50);
    request.steps = pick(1, 1000);
    request.width = 8 * pick(8, 100);
    request.height = 8 * pick(8, 100);
    request.cfg_scale = static_cast<double>(pick(0, 300)) / 7;
    if (trial % 2) request.eta = static_cast<double>(pick(0, 10)) / 10;
    if (trial % 5 == 0) request.emphasis = "no-norm";
    if (trial % 7 == 0) request.subseed_strength = 0.25, request.subseed = pick(0, 99);
    if (trial % 4 == 0) request.s_tmax = static_cast<double>(pick(1, 50));
    const std::string text = to_infotext(request, "0123456789", "Safelight");
    EXPECT_EQ(parse_infotext(text).request, request) << text;
  }
}

TEST(FileName, FillsThePattern) {
  Request request;
  request.prompt = "a/b: \"cat\"\n..";
  request.seed = 7;
  request.width = 64;
  const FileNameFacts facts{request, "model", "abc"};
  EXPECT_EQ(file_name("[seq]-[model_name]-[seed]-[width]", facts, 12), "00012-model-7-64");
  EXPECT_EQ(file_name("[prompt]", facts, 1), "a_b_ _cat__");
  EXPECT_EQ(file_name("[prompt_words]", facts, 1), "a_b _cat_");
  EXPECT_EQ(file_name("..", facts, 1), "picture");
  EXPECT_EQ(file_name("../x[", facts, 1), "_x[");
  EXPECT_LE(file_name(std::string(5000, 'x'), facts, 1).size(), 200U);
  EXPECT_EQ(file_name("[uuid]", facts, 1).size(), 36U);
  EXPECT_TRUE(check_file_name_pattern("[seq]-[date]-[datetime]-[time]").ok());
  EXPECT_NE(check_file_name_pattern("[sed]").error().message.find("'[sed]'"), std::string::npos);
}

}  // namespace
}  // namespace safelight::request
