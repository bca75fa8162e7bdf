#include "api/sdapi/txt2img.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <sstream>

#include "base/json.h"
#include "support/fake_backend.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

class Txt2ImgTest : public testing::Test {
 protected:
  Result<Txt2Img> try_read(std::string_view body) {
    return read_txt2img(*parse_json(body), *fake_.options, fake_.catalog);
  }
  Txt2Img read(std::string_view body) {
    Result<Txt2Img> read = try_read(body);
    EXPECT_TRUE(read.ok()) << body << ": " << read.error().message;
    return read ? *read : Txt2Img();
  }
  request::Request request(std::string_view body) { return read(body).submission.request; }
  jobs::Delivery delivery(std::string_view body) { return read(body).submission.delivery; }

  /// The error's message must name `field`.
  void expect_error(std::string_view body, ErrorCode code, const std::string& field) {
    const Result<Txt2Img> read = try_read(body);
    ASSERT_FALSE(read.ok()) << body;
    EXPECT_EQ(read.error().code, code) << body;
    EXPECT_NE(read.error().message.find(field), std::string::npos) << read.error().message;
  }

  test::FakeBackend fake_;
};

TEST_F(Txt2ImgTest, AnEmptyRequestIsAllDefaults) {
  const Txt2Img read = this->read("{}");
  EXPECT_EQ(read.submission.request, request::Request());
  EXPECT_EQ(read.submission.source, "sdapi");
  EXPECT_EQ(read.submission.delivery.format, "png");
  EXPECT_TRUE(read.submission.delivery.metadata);
  EXPECT_FALSE(read.submission.delivery.save);
  EXPECT_TRUE(read.submission.delivery.previews);
  EXPECT_TRUE(read.send_images);
  EXPECT_TRUE(read.lasting.empty());
}

TEST_F(Txt2ImgTest, EveryFieldUnderEachOfItsNames) {
  for (const request::Field& field : request::fields()) {
    std::string names(field.key);
    if (!field.aliases.empty()) names += " " + std::string(field.aliases);
    std::istringstream words(names);
    for (std::string name; words >> name;) {
      json::value value = 0.5;
      if (std::holds_alternative<int64_t request::Request::*>(field.member)) value = 64;
      if (std::holds_alternative<std::string request::Request::*>(field.member)) value = "words";
      if (std::holds_alternative<request::Texts request::Request::*>(field.member))
        value = json::array{"words"};
      if (!field.choices.empty()) {
        const std::string_view last = field.choices.substr(field.choices.rfind(' ') + 1);
        const bool is_default = last == request::default_text(field);
        value = is_default ? field.choices.substr(0, field.choices.find(' ')) : last;
      }
      json::object body{{name, value}};
      // One without the other means nothing.
      body.emplace("seed_resize_from_w", 64);
      body.emplace("seed_resize_from_h", 64);
      const json::object got = request::to_json(request(json::serialize(body)));
      ASSERT_TRUE(got.contains(field.key)) << name;
      EXPECT_EQ(got.at(field.key), value) << name;
    }
  }
}

TEST_F(Txt2ImgTest, GuidanceAsSdNextAndWebUiNameIt) {
  const auto asked = request(R"({"guidance_name":"APG: AdaptiveProjectedGuidance","cfg_true":2.5,
      "cfg_adaptive":0.25,"s_min_uncond":3,"override_settings":{"s_min_uncond_all":true,
      "skip_early_cond":0.1}})");
  EXPECT_EQ(asked.guidance, "apg");
  EXPECT_EQ(asked.pag_scale, 2.5);
  EXPECT_EQ(asked.pag_adaptive, 0.25);
  EXPECT_EQ(asked.s_min_uncond, 3);
  EXPECT_EQ(asked.s_min_uncond_all, "on");
  EXPECT_EQ(asked.skip_early_cond, 0.1);
  EXPECT_EQ(request(R"({"guidance_name":"Default"})").guidance, "cfg");
  EXPECT_EQ(request(R"({"guidance_name":"zero: classifierfreezerostar"})").guidance, "zero-star");
}

TEST_F(Txt2ImgTest, NullsAndUnknownKeysAreLeftOut) {
  json::object body{{"nonsense", json::object{{"a", 1}}}, {"script_name", nullptr}};
  for (const request::Field& field : request::fields()) {
    body[field.key] = nullptr;
    std::istringstream words{std::string(field.aliases)};
    for (std::string name; words >> name;) body[name] = nullptr;
  }
  for (const char* const key :
       {"override_settings", "alwayson_scripts", "styles", "sampler_index", "force_task_id",
        "send_images", "save_images", "override_settings_restore_afterwards", "extra", "enable_hr",
        "samples_format", "schedulers_sigma"}) {
    body[key] = nullptr;
  }
  EXPECT_EQ(request(json::serialize(body)), request::Request());
}

TEST_F(Txt2ImgTest, TheFirstNameOfAFieldCounts) {
  // SD.Next's clients send both.
  EXPECT_EQ(request(R"({"guidance_scale":6,"cfg_scale":4})").cfg_scale, 4);
  EXPECT_EQ(request(R"({"guidance_scale":5,"cfg_scale":null})").cfg_scale, 5);
}

TEST_F(Txt2ImgTest, SamplerNamesAreTakenApart) {
  const request::Request karras = request(R"({"sampler_name":"DPM++ 2M Karras"})");
  EXPECT_EQ(karras.sampler, "DPM++ 2M");
  EXPECT_EQ(karras.schedule, "Karras");
  const request::Request uniform =
      request(R"({"sampler_name":"euler a sgm uniform","scheduler":"automatic"})");
  EXPECT_EQ(uniform.sampler, "euler a");
  EXPECT_EQ(uniform.schedule, "SGM Uniform");
  // The field of its own goes before the name's end.
  EXPECT_EQ(request(R"({"sampler_name":"DPM++ 2M Karras","scheduler":"SGM Uniform"})").schedule,
            "SGM Uniform");
  // What is no sampler of ours is for the check of names.
  EXPECT_EQ(request(R"({"sampler_name":"Foo Karras"})").sampler, "Foo Karras");
}

TEST_F(Txt2ImgTest, DefaultsOfSdNextAreDefaults) {
  const request::Request request = this->request(
      R"({"sampler_name":"Default","scheduler":"default","sampler_index":0,"vae_type":"Full",
          "guidance_name":"Default","schedulers_sigma":"default","clip_skip":1,"refiner_start":0})");
  EXPECT_EQ(request, request::Request());
  EXPECT_EQ(this->request(R"({"schedulers_sigma":"karras"})").schedule, "karras");
  EXPECT_EQ(this->request(R"({"schedulers_sigma":"betas"})").schedule, "Beta");
}

TEST_F(Txt2ImgTest, SamplerIndexIsANameOrANumber) {
  EXPECT_EQ(request(R"({"sampler_index":"Euler a"})").sampler, "Euler a");
  EXPECT_EQ(request(R"({"sampler_index":1})").sampler, "Euler a");
  EXPECT_EQ(request(R"({"sampler_index":1,"sampler_name":"DDIM"})").sampler, "DDIM");
  EXPECT_EQ(request(R"({"sampler_index":"Euler","sampler_name":"DDIM"})").sampler, "DDIM");
  expect_error(R"({"sampler_index":99})", ErrorCode::kInvalidArgument, "sampler_index");
  expect_error(R"({"sampler_index":-1})", ErrorCode::kInvalidArgument, "sampler_index");
  expect_error(R"({"sampler_index":[]})", ErrorCode::kInvalidArgument, "sampler_index");
}

TEST_F(Txt2ImgTest, SizesAreRoundedDownAndMinusOneIsNone) {
  const request::Request request = this->request(
      R"({"width":515,"height":769,"seed_resize_from_w":-1,"seed_resize_from_h":-1})");
  EXPECT_EQ(request.width, 512);
  EXPECT_EQ(request.height, 768);
  EXPECT_EQ(request.seed_resize_from_w, 0);
  EXPECT_EQ(
      this->request(R"({"seed_resize_from_w":512,"seed_resize_from_h":0})").seed_resize_from_w, 0);
}

TEST_F(Txt2ImgTest, WithoutALimitInSdWebUisWords) {
  EXPECT_EQ(request(R"({"s_tmax":0.0})").s_tmax, request::Request().s_tmax);
  EXPECT_EQ(request(R"({"s_tmax":5})").s_tmax, 5);
}

TEST_F(Txt2ImgTest, OptionsAreDefaultsAndOverridesGoBeforeThem) {
  ASSERT_TRUE(fake_.options
                  ->set(parse_json(R"({"sd_model_checkpoint":"dream","CLIP_stop_at_last_layers":2,
      "samples_format":"jpg","jpeg_quality":70,"samples_save":false,"enable_pnginfo":false,
      "live_previews_enable":false})")
                            ->as_object())
                  .ok());
  const Txt2Img plain = read(R"({"save_images":true})");
  EXPECT_EQ(plain.submission.request.model, "dream");
  EXPECT_EQ(plain.submission.request.clip_skip, 2);
  EXPECT_EQ(plain.submission.delivery.format, "jpeg");
  EXPECT_EQ(plain.submission.delivery.quality, 70);
  EXPECT_FALSE(plain.submission.delivery.save);
  EXPECT_FALSE(plain.submission.delivery.metadata);
  EXPECT_FALSE(plain.submission.delivery.previews);

  const Txt2Img other = read(R"({"save_images":true,"override_settings":{
      "sd_model_checkpoint":"emoji-128","samples_format":"webp","samples_save":true,
      "enable_pnginfo":true,"randn_source":"GPU","unknown":1,"sd_vae":"None"}})");
  EXPECT_EQ(other.submission.request.model, "emoji-128");
  EXPECT_EQ(other.submission.request.clip_skip, 2);
  EXPECT_EQ(other.submission.request.noise_source, "nv");
  EXPECT_EQ(other.submission.delivery.format, "webp");
  EXPECT_TRUE(other.submission.delivery.save);
  EXPECT_TRUE(other.submission.delivery.metadata);
  EXPECT_TRUE(other.lasting.empty());
  // The job alone is meant.
  EXPECT_EQ(fake_.options->text("samples_format"), "jpg");

  EXPECT_EQ(
      request(R"({"clip_skip":3,"override_settings":{"CLIP_stop_at_last_layers":4}})").clip_skip,
      3);
}

TEST_F(Txt2ImgTest, SettingsMayStay) {
  const Txt2Img read = this->read(
      R"({"override_settings":{"samples_format":"webp","unknown":1},
          "override_settings_restore_afterwards":false})");
  EXPECT_EQ(read.lasting, (json::object{{"samples_format", "webp"}}));
}

TEST_F(Txt2ImgTest, WhereThePicturesGo) {
  EXPECT_TRUE(delivery(R"({"save_images":true})").save);
  EXPECT_FALSE(delivery(R"({"save_images":true,"do_not_save_samples":true})").save);
  EXPECT_EQ(delivery(R"({"samples_format":"JPG"})").format, "jpeg");
  EXPECT_EQ(delivery(R"({"jpeg_quality":33})").quality, 33);
  EXPECT_FALSE(delivery(R"({"image_metadata":false})").metadata);
  EXPECT_FALSE(read(R"({"send_images":false})").send_images);
  EXPECT_EQ(read(R"({"force_task_id":"task-abc"})").submission.client_id, "task-abc");
}

TEST_F(Txt2ImgTest, WhatStandsInExtraIsAField) {
  EXPECT_EQ(request(R"({"extra":{"steps":7,"seed":5},"seed":6})").steps, 7);
  EXPECT_EQ(request(R"({"extra":{"steps":7,"seed":5},"seed":6})").seed, 6);
  expect_error(R"({"extra":{"enable_hr":true}})", ErrorCode::kUnsupported, "enable_hr");
}

TEST_F(Txt2ImgTest, WrongTypesAndValuesAreNamed) {
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"[]", "JSON object"},
           {R"({"steps":"many"})", "steps"},
           {R"({"steps":2.5})", "steps"},
           {R"({"prompt":["a"]})", "prompt"},
           {R"({"sampler_name":3})", "sampler"},
           {R"({"override_settings":[]})", "override_settings"},
           {R"({"override_settings":{"jpeg_quality":"x"}})", "jpeg_quality"},
           {R"({"override_settings":{"sd_vae":7}})", "sd_vae"},
           {R"({"samples_format":"tiff"})", "samples_format"},
           {R"({"send_images":"yes"})", "send_images"},
           {R"({"save_images":1})", "save_images"},
           {R"({"force_task_id":7})", "force_task_id"},
           {R"({"alwayson_scripts":[1]})", "alwayson_scripts"},
           {R"({"extra":7})", "extra"},
           {R"({"force_task_id":")" + std::string(300, 'x') + "\"}", "force_task_id"},
       }) {
    expect_error(body, ErrorCode::kInvalidArgument, field);
  }
}

TEST_F(Txt2ImgTest, WhatIsNotThereIsToldByName) {
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"enable_hr":true})", "enable_hr"},
           {R"({"script_name":"X/Y/Z plot"})", "script_name"},
           {R"({"restore_faces":true})", "restore_faces"},
           {R"({"tiling":true})", "tiling"},
           {R"({"init_images":["aGVsbG8="]})", "init_images"},
           {R"({"vae_type":"Remote"})", "vae_type"},
           {R"({"hdr_brightness":0.5})", "hdr_brightness"},
           {R"({"controlnet_units":[{"module":"canny"}]})", "controlnet_units"},
           {R"({"ip_adapter":[{"adapter":"Base","images":["x"]}]})", "ip_adapter"},
           {R"({"alwayson_scripts":{"ADetailer":{"args":[true,{"ad_model":"face"}]}}})",
            "ADetailer"},
           {R"({"alwayson_scripts":{"Wildcards":{"args":["x"]}}})", "Wildcards"},
       }) {
    expect_error(body, ErrorCode::kUnsupported, field);
  }
}

TEST_F(Txt2ImgTest, WhatIsSwitchedOffMeansNothing) {
  request::Request expected;
  EXPECT_EQ(request(R"({"enable_hr":false,"hr_upscaler":"Latent","hr_scale":2,"script_name":"None",
      "script_args":[],"styles":[],"restore_faces":false,"tiling":null,"refiner_checkpoint":"",
      "refiner_switch_at":0.8,"controlnet_units":[{"enabled":false,"module":"canny"}],
      "alwayson_scripts":{"ControlNet":{"args":[]},"ADetailer":{"args":[false,true,{"x":1}]},
      "Other":{"args":[{"enabled":false,"a":[1,2]},null,"None",0]}},"hdr_threshold":0.95,
      "denoising_strength":0.3,"init_images":[],"mask":null,"firstphase_width":0})"),
            expected);
}

}  // namespace
}  // namespace safelight::api::sdapi
