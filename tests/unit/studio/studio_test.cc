// Requests through guard and pipeline on the shipped model.
#include "studio/studio.h"

#include <gtest/gtest.h>

#include <cmath>

#include "request/infotext.h"

namespace safelight::studio {
namespace {

using request::Request;

Result<ModelFile> shipped(const std::string& name) {
  if (!name.empty() && name != "emoji-128" && name != "emoji-128 [9c380764f7]")
    return Error{ErrorCode::kNotFound, "no model " + name};
  return ModelFile{std::string(SAFELIGHT_SOURCE_DIR) + "/models/emoji-128/emoji-128.safetensors",
                   "emoji-128", "9c380764f7"};
}

/// A VAE that is the model's own, and nothing else.
Result<std::optional<pipelines::PartFile>> own_vae(pipelines::ModelPart part,
                                                   const std::string& name,
                                                   const ModelFile& model) {
  if (name.empty()) return std::optional<pipelines::PartFile>();
  if (part != pipelines::ModelPart::kVae || name != "own")
    return Error{ErrorCode::kNotFound, "there is no '" + name + "'"};
  return std::optional(pipelines::PartFile{
      .part = part, .path = model.path, .name = name, .sha256 = "0123456789ab"});
}

std::optional<std::filesystem::path> narrow_taesd(std::string_view name) {
  if (name != "taesd") return std::nullopt;
  return std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/taesd/decoder.safetensors";
}

class StudioTest : public ::testing::Test {
 protected:
  static Studio& studio() {
    static std::unique_ptr<Studio> shared = std::move(
        *Studio::make({.engine_options = {.precision = engine::Precision::kF32, .threads = 2},
                       .find_model = shipped,
                       .find_part = own_vae,
                       .find_tiny_decoder = narrow_taesd,
                       .version = "test"}));
    return *shared;
  }

  static Request small() {
    Request request;
    request.prompt = "red apple";
    request.seed = 5;
    request.steps = 3;
    request.width = request.height = 64;
    return request;
  }

  struct Drawn {
    Status status;
    std::vector<Picture> pictures;
  };
  static Drawn draw(const Request& request, const engine::StopFlag* stop = nullptr) {
    Drawn drawn;
    drawn.status = studio().run(request, {.deliver =
                                              [&](const Picture& picture) {
                                                drawn.pictures.push_back(picture);
                                                return Status();
                                              },
                                          .stop = stop});
    return drawn;
  }
  static std::vector<uint8_t> pixels(const Request& request) {
    return draw(request).pictures.at(0).image.pixels().pixels;
  }
};

TEST_F(StudioTest, UsesTheModelsOwnSize) {
  Request request = small();
  request.width = request.height = 0;
  const Drawn drawn = draw(request);
  ASSERT_TRUE(drawn.status.ok()) << drawn.status.error().message;
  EXPECT_EQ(drawn.pictures.at(0).image.pixels().width, 128);
  EXPECT_EQ(drawn.pictures.at(0).image.policy(), "off");
}

TEST_F(StudioTest, ABatchEqualsItsSingleRuns) {
  for (const char* sampler : {"Euler a", "DPM++ 2M SDE", "UniPC"}) {
    Request request = small();
    request.sampler = sampler;
    request.batch_size = 2;
    request.batch_count = 2;
    const Drawn batch = draw(request);
    ASSERT_EQ(batch.pictures.size(), 4U);
    for (size_t i = 0; i < 4; ++i) {
      const Picture& picture = batch.pictures[i];
      EXPECT_EQ(picture.request.seed, 5 + static_cast<int64_t>(i));
      EXPECT_EQ(picture.request.batch_size, 1);
      EXPECT_EQ(pixels(picture.request), picture.image.pixels().pixels)
          << sampler << " picture " << i;
    }
  }
}

TEST_F(StudioTest, EachPictureHasItsOwnPrompt) {
  Request request = small();
  request.batch_size = 2;
  request.all_prompts = {"red apple", "owl"};
  request.all_negative_prompts = {"", "blue"};
  const Drawn batch = draw(request);
  ASSERT_EQ(batch.pictures.size(), 2U);
  EXPECT_EQ(batch.pictures[1].request.prompt, "owl");
  EXPECT_EQ(batch.pictures[1].request.negative_prompt, "blue");
  EXPECT_EQ(batch.pictures[1].request.seed, 6);
  for (const Picture& picture : batch.pictures)
    EXPECT_EQ(pixels(picture.request), picture.image.pixels().pixels);
}

TEST_F(StudioTest, SchedulesAndComposedPromptsDraw) {
  Request plain = small();
  plain.prompt = "owl";
  Request request = plain;
  request.prompt = "[owl:red apple:9]";  // never, in so few steps
  EXPECT_EQ(pixels(request), pixels(plain));
  request.prompt = "[owl:red apple:1]";
  EXPECT_NE(pixels(request), pixels(plain));
  request.prompt = "owl :1";
  EXPECT_EQ(pixels(request), pixels(plain));
  request.prompt = "owl AND red apple";
  EXPECT_NE(pixels(request), pixels(plain));
}

TEST_F(StudioTest, TheTextInAPictureDrawsItAgain) {
  Request request = small();
  request.seed = -1;
  request.subseed_strength = 0.4;
  request.prompt = "(red:1.3) apple BREAK blue";
  request.noise_source = "nv";
  const Drawn drawn = draw(request);
  ASSERT_TRUE(drawn.status.ok()) << drawn.status.error().message;
  const Request again = request::parse_infotext(drawn.pictures.at(0).infotext).request;
  EXPECT_EQ(again, drawn.pictures.at(0).request);
  EXPECT_EQ(pixels(again), drawn.pictures.at(0).image.pixels().pixels);
}

TEST_F(StudioTest, WhatIsAskedForMatters) {
  const std::vector<uint8_t> plain = pixels(small());
  EXPECT_EQ(plain, pixels(small()));
  const auto differs = [&](auto change) {
    Request request = small();
    change(request);
    return pixels(request) != plain;
  };
  EXPECT_TRUE(differs([](Request& r) { r.seed = 6; }));
  EXPECT_TRUE(differs([](Request& r) { r.prompt = "owl"; }));
  EXPECT_TRUE(differs([](Request& r) { r.negative_prompt = "red"; }));
  EXPECT_TRUE(differs([](Request& r) { r.cfg_scale = 1; }));
  EXPECT_TRUE(differs([](Request& r) { r.prompt = "[red|blue] apple"; }));
  EXPECT_FALSE(differs([](Request& r) { r.prompt_syntax = "comfyui"; }));
  EXPECT_TRUE(differs([](Request& r) { r.cfg_rescale = 0.7; }));
  EXPECT_TRUE(differs([](Request& r) { r.guidance_start = 0.5; }));
  EXPECT_TRUE(differs([](Request& r) { r.guidance_end = 0.5; }));
  EXPECT_TRUE(differs([](Request& r) { r.clip_skip = 2; }));
  EXPECT_TRUE(differs([](Request& r) { r.subseed_strength = 0.5, r.subseed = 1; }));
  EXPECT_TRUE(differs([](Request& r) { r.seed_resize_from_w = r.seed_resize_from_h = 128; }));
  EXPECT_TRUE(differs([](Request& r) { r.schedule = "Uniform"; }));
  EXPECT_TRUE(differs([](Request& r) { r.prediction = "v"; }));
  EXPECT_FALSE(differs([](Request& r) { r.prediction = "epsilon"; }));
  EXPECT_TRUE(differs([](Request& r) { r.noise_schedule = "zero-terminal-snr"; }));
  EXPECT_TRUE(differs([](Request& r) { r.vae_decoder = "taesd"; }));
  EXPECT_TRUE(differs([](Request& r) { r.prompt = "(red:1.5) apple"; }));
  EXPECT_FALSE(differs([](Request& r) { r.prompt = "(red:1.5) apple", r.emphasis = "ignore"; }));
  EXPECT_FALSE(differs([](Request& r) { r.guidance_start = 0, r.guidance_end = 1; }));
}

TEST_F(StudioTest, AVaeFromAnotherFileIsNamedInTheText) {
  Request request = small();
  request.vae = "own";
  const Drawn drawn = draw(request);
  ASSERT_TRUE(drawn.status.ok()) << drawn.status.error().message;
  EXPECT_EQ(drawn.pictures.at(0).image.pixels().pixels, pixels(small()));
  EXPECT_NE(drawn.pictures[0].infotext.find("VAE: own"), std::string::npos);
  EXPECT_NE(drawn.pictures[0].infotext.find("VAE hash: 0123456789"), std::string::npos);
  request.vae = "None";
  EXPECT_EQ(draw(request).pictures.at(0).infotext.find("VAE hash"), std::string::npos);
  request.vae = "nowhere";
  EXPECT_EQ(draw(request).status.error().code, ErrorCode::kNotFound);
}

TEST_F(StudioTest, AModelThatRefinesItselfDrawsTheSame) {
  for (const char* sampler : {"DPM++ 2M", "Heun"}) {
    Request request = small();
    request.sampler = sampler;
    request.batch_count = 2;
    const Drawn alone = draw(request);
    request.refiner = "emoji-128";
    request.refiner_switch_at = 0.4;
    const Drawn refined = draw(request);
    ASSERT_TRUE(refined.status.ok()) << refined.status.error().message;
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(refined.pictures.at(i).image.pixels().pixels,
                alone.pictures.at(i).image.pixels().pixels)
          << sampler;
    }
    EXPECT_NE(refined.pictures[0].infotext.find(
                  "Refiner: emoji-128 [9c380764f7], Refiner switch at: 0.4"),
              std::string::npos);
  }
  Request request = small();
  request.refiner = "nowhere";
  EXPECT_EQ(draw(request).status.error().code, ErrorCode::kNotFound);
}

TEST_F(StudioTest, PreviewsComeFromTheTinyDecoderInFullSize) {
  int64_t width = 0;
  const Status done = studio().run(
      small(),
      {.deliver = [](const Picture&) { return Status(); },
       .preview_due = [] { return true; },
       .preview = [&](const image::ReleasedImage& image) { width = image.pixels().width; }});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(width, 64);
}

TEST_F(StudioTest, LongPromptsAndEmptyOnesDraw) {
  Request request = small();
  request.prompt = "";
  EXPECT_TRUE(draw(request).status.ok());
  for (int i = 0; i < 100; ++i) request.prompt += "apple, ";
  request.negative_prompt = "dog";
  EXPECT_TRUE(draw(request).status.ok());
}

TEST_F(StudioTest, OddSizesDraw) {
  Request request = small();
  request.width = 72;
  request.height = 104;
  const Drawn drawn = draw(request);
  ASSERT_TRUE(drawn.status.ok()) << drawn.status.error().message;
  EXPECT_EQ(drawn.pictures[0].image.pixels().width, 72);
  EXPECT_EQ(drawn.pictures[0].image.pixels().height, 104);
}

TEST_F(StudioTest, ErrorsComeBeforeWork) {
  const auto fault = [&](auto change) {
    Request request = small();
    change(request);
    const Drawn drawn = draw(request);
    EXPECT_TRUE(drawn.pictures.empty());
    return drawn.status.ok() ? "" : drawn.status.error().message;
  };
  EXPECT_EQ(fault([](Request& r) { r.sampler = "Eulr"; }),
            "sampler 'Eulr' is unknown; did you mean 'Euler'?");
  EXPECT_EQ(fault([](Request& r) { r.schedule = "Karas"; }),
            "schedule 'Karas' is unknown; did you mean 'Karras'?");
  EXPECT_EQ(fault([](Request& r) { r.clip_skip = 9; }),
            "clip_skip is 9; this model's text encoder has 4 layers");
  EXPECT_EQ(fault([](Request& r) { r.model = "other"; }), "no model other");
  EXPECT_EQ(fault([](Request& r) { r.steps = 0; }), "steps is 0; 1 to 1000 is possible");
}

TEST_F(StudioTest, StopsWhenToldTo) {
  const engine::StopFlag stop = true;
  const Drawn drawn = draw(small(), &stop);
  ASSERT_FALSE(drawn.status.ok());
  EXPECT_EQ(drawn.status.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(drawn.pictures.empty());
  EXPECT_TRUE(draw(small()).status.ok());
}

TEST_F(StudioTest, AFailedDeliveryEndsTheRun) {
  int delivered = 0;
  Request request = small();
  request.batch_count = 3;
  const Status status = studio().run(request, {.deliver = [&](const Picture&) -> Status {
                                       ++delivered;
                                       return Error{ErrorCode::kIo, "full"};
                                     }});
  EXPECT_EQ(status.error().message, "full");
  EXPECT_EQ(delivered, 1);
}

TEST_F(StudioTest, AnEarlyEndKeepsThePictureSoFar) {
  Request request = small();
  request.steps = 20;
  request.batch_count = 3;
  EarlyEnd end;
  std::vector<Picture> pictures;
  const auto until = [&](std::atomic<bool>& flag, int64_t batch, int64_t step) {
    pictures.clear();
    return studio().run(request, {.progress =
                                      [&, batch, step](const Progress& progress) {
                                        if (progress.batch == batch && progress.step == step)
                                          flag = true;
                                      },
                                  .deliver =
                                      [&](const Picture& picture) {
                                        pictures.push_back(picture);
                                        return Status();
                                      },
                                  .early_end = &end});
  };
  const Status interrupted = until(end.run, 1, 5);
  EXPECT_EQ(interrupted.error().code, ErrorCode::kCancelled);
  ASSERT_EQ(pictures.size(), 2U);
  const auto early = pictures[1].image.pixels().pixels;
  EXPECT_NE(early, pixels(pictures[1].request));
  end.run = false;
  EXPECT_TRUE(until(end.batch, 1, 5).ok());
  ASSERT_EQ(pictures.size(), 3U);
  EXPECT_EQ(pictures[1].image.pixels().pixels, early);
  EXPECT_EQ(pictures[2].image.pixels().pixels, pixels(pictures[2].request));
}

/// How far a preview is from the picture in its size, in 1/255: the mean difference.
double distance(const image::Image& preview, const image::Image& picture) {
  const int factor = picture.width / preview.width;
  double sum = 0;
  for (int y = 0; y < preview.height; ++y) {
    for (int x = 0; x < 3 * preview.width; ++x) {
      double mean = 0;
      for (int j = 0; j < factor; ++j) {
        for (int i = 0; i < factor; ++i) {
          const int column = 3 * (x / 3 * factor + i) + x % 3;
          mean +=
              picture.pixels[static_cast<size_t>((y * factor + j) * 3 * picture.width + column)];
        }
      }
      const int got = preview.pixels[static_cast<size_t>(y * 3 * preview.width + x)];
      sum += std::abs(mean / (factor * factor) - got);
    }
  }
  return sum / (3.0 * preview.width * preview.height);
}

TEST_F(StudioTest, PreviewsLookLikeThePicture) {
  // A studio of its own: the very first previews of a model must be good, too.
  const auto fresh = Studio::make({.engine_options = {.precision = engine::Precision::kF32},
                                   .find_model = shipped,
                                   .version = "test"});
  for (const char* prompt : {"red apple", "owl on a purple background"}) {
    Request request = small();
    request.prompt = prompt;
    request.steps = 12;
    request.width = request.height = 128;
    std::vector<image::Image> previews;
    std::optional<image::Image> picture;
    const Status drawn = (*fresh)->run(request, {.deliver =
                                                     [&](const Picture& made) {
                                                       picture = made.image.pixels();
                                                       return Status();
                                                     },
                                                 .preview_due = [] { return true; },
                                                 .preview =
                                                     [&](const image::ReleasedImage& image) {
                                                       previews.push_back(image.pixels());
                                                     }});
    ASSERT_TRUE(drawn.ok());
    ASSERT_EQ(previews.size(), 12U);
    EXPECT_EQ(previews[0].width, 16);
    EXPECT_LT(distance(previews.back(), *picture), 30) << prompt;
    EXPECT_LT(distance(previews.back(), *picture), distance(previews.front(), *picture));
    EXPECT_EQ(picture->pixels, pixels(request)) << "previews change the picture";
  }
}

TEST_F(StudioTest, ModelsStayWhileTheyFit) {
  const auto two = Studio::make({.engine_options = {.precision = engine::Precision::kF32},
                                 .find_model = [](const std::string& name) -> Result<ModelFile> {
                                   Result<ModelFile> file = shipped("");
                                   file->name = name;
                                   file->sha256 = "sha of " + name;
                                   return file;
                                 },
                                 .version = "test"});
  Studio& both = **two;
  std::vector<double> load_seconds;
  const auto use = [&](const char* name) {
    Request request = small();
    request.model = name;
    return both.run(request, {.started = [&](double seconds) { load_seconds.push_back(seconds); },
                              .deliver = [](const Picture&) { return Status(); }});
  };
  ASSERT_TRUE(use("a").ok());
  ASSERT_TRUE(use("b").ok());
  ASSERT_TRUE(use("a").ok());
  ASSERT_EQ(both.models().size(), 2U);
  EXPECT_EQ(both.models()[0].name, "a");
  EXPECT_GT(both.models()[0].bytes, 1U << 20);
  EXPECT_LT(load_seconds[2], 0.005);
  both.set_memory(both.models()[0].bytes, {});
  EXPECT_EQ(both.models().size(), 1U);
  ASSERT_TRUE(use("b").ok());
  ASSERT_EQ(both.models().size(), 1U);
  EXPECT_EQ(both.models()[0].name, "b");
  EXPECT_EQ(both.unload("a").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(both.unload("").ok());
  EXPECT_TRUE(both.models().empty());
  EXPECT_TRUE(both.load("a").ok());
  Request request = small();
  const Status other = both.run(request, {.deliver = [](const Picture&) { return Status(); },
                                          .model_sha256 = "of another file"});
  EXPECT_EQ(other.error().code, ErrorCode::kConflict);
}

TEST_F(StudioTest, AModelGivesWayToAnother) {
  ASSERT_TRUE(draw(small()).status.ok());
  // Room for one model and its working memory: the engine refuses the second until the first goes.
  const uint64_t model_bytes = studio().models().at(0).bytes;
  const auto tight = Studio::make(
      {.engine_options = {.precision = engine::Precision::kF32, .max_memory = 2 * model_bytes},
       .find_model = [](const std::string& name) -> Result<ModelFile> {
         Result<ModelFile> file = shipped("");
         file->name = name;
         file->sha256 = "sha of " + name;
         return file;
       },
       .version = "test",
       .memory_budget = uint64_t{1} << 40});
  for (const char* name : {"a", "b", "a"}) {
    Request request = small();
    request.model = name;
    const Status drawn =
        (*tight)->run(request, {.deliver = [](const Picture&) { return Status(); }});
    ASSERT_TRUE(drawn.ok()) << drawn.error().message;
    EXPECT_EQ((*tight)->models().size(), 1U);
    EXPECT_LE((*tight)->models()[0].bytes, model_bytes);
  }
}

}  // namespace
}  // namespace safelight::studio
