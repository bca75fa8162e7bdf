#include "request/request.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <cmath>
#include <set>

#include "base/json.h"
#include "support.h"

namespace safelight::request {
namespace {

/// from_json of a text.
Result<Request> read(std::string_view text, const JsonOptions& options = {}) {
  const Result<boost::json::value> value = parse_json(text);
  if (!value) return value.error();
  return from_json(*value, options);
}

std::string failure_of(std::string_view text) {
  const Result<Request> request = read(text);
  if (!request) return request.error().message;
  const Status good = validate(*request);
  return good ? "nothing failed" : good.error().message;
}

std::string invalid(const Request& request) {
  const Status good = validate(request);
  if (!good) {
    EXPECT_EQ(good.error().code, ErrorCode::kInvalidArgument);
  }
  return good ? "nothing failed" : good.error().message;
}

TEST(Fields, NamesAndAliasesAreUnique) {
  std::set<std::string> names;
  for (const Field& field : fields()) {
    std::string all = fmt::format("{} {}", field.key, field.aliases);
    for (size_t at = 0; at < all.size();) {
      const size_t end = std::min(all.find(' ', at), all.size());
      if (end > at) {
        EXPECT_TRUE(names.insert(all.substr(at, end - at)).second) << all;
      }
      at = end + 1;
    }
  }
}

TEST(Fields, CoverEveryMemberOfARequest) {
  // As many members as the table has fields, each another one.
  std::set<size_t> offsets;
  const Request request;
  const auto* base = reinterpret_cast<const char*>(&request);
  size_t bytes = 0;
  for (const Field& field : fields()) {
    std::visit(
        [&](auto member) {
          offsets.insert(
              static_cast<size_t>(reinterpret_cast<const char*>(&(request.*member)) - base));
          bytes += sizeof(request.*member);
        },
        field.member);
  }
  EXPECT_EQ(offsets.size(), fields().size());
  EXPECT_EQ(bytes + sizeof(SaidFields), sizeof(Request)) << "a member is missing in the table";
}

TEST(Fields, DefaultsAreValidAndRead) {
  EXPECT_EQ(invalid(Request{}), "nothing failed");
  const auto default_of = [](std::string_view key) { return default_text(*find_field(key)); };
  EXPECT_EQ(default_of("steps"), "20");
  EXPECT_EQ(default_of("cfg_scale"), "7");
  EXPECT_EQ(default_of("sampler"), "DPM++ 2M");
  EXPECT_EQ(default_of("s_tmax"), "inf");
  EXPECT_EQ(default_of("eta"), "");
}

TEST(Json, EveryFieldComesBack) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    const Request request = random_request(seed);
    const std::string text = boost::json::serialize(to_json(request));
    const Result<Request> back = read(text);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, request) << text;
  }
  EXPECT_TRUE(to_json(Request{}).empty());
}

TEST(Json, TakesTheNamesOfSdWebui) {
  const Result<Request> request = read(R"({
      "prompt": "a", "negative_prompt": "b", "sampler_name": "Euler a", "scheduler": "Karras",
      "n_iter": 2, "cfg_scale": 5.5, "width": 512.0, "seed": "17", "eta": null, "s_tmax": null,
      "seed_resize_from_h": -1, "seed_resize_from_w": -1,
      "override_settings": {"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "m [1234]"}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->prompt, "a");
  EXPECT_EQ(request->negative_prompt, "b");
  EXPECT_EQ(request->sampler, "Euler a");
  EXPECT_EQ(request->schedule, "Karras");
  EXPECT_EQ(request->batch_count, 2);
  EXPECT_EQ(request->cfg_scale, 5.5);
  EXPECT_EQ(request->width, 512);
  EXPECT_EQ(request->seed, 17);
  EXPECT_EQ(request->eta, std::nullopt);
  EXPECT_EQ(request->s_tmax, Request{}.s_tmax);
  EXPECT_EQ(request->seed_resize_from_w, 0);
  EXPECT_EQ(request->clip_skip, 2);
  EXPECT_EQ(request->model, "m [1234]");
  EXPECT_EQ(invalid(*request), "nothing failed");
}

TEST(Json, UnknownKeysNameTheNearest) {
  EXPECT_EQ(failure_of(R"({"promt": "a"})"),
            "the request has an unknown field 'promt'; did you mean 'prompt'?");
  EXPECT_EQ(failure_of(R"({"save_images": true})"),
            "the request has an unknown field 'save_images'");
  EXPECT_EQ(failure_of(R"({"override_settings": {"sampels_format": "png"}})"),
            "the request has an unknown field 'sampels_format'");
  EXPECT_EQ(failure_of(R"({"override_settings": {"override_settings": {}}})"),
            "the request has an unknown field 'override_settings'");
  EXPECT_TRUE(read(R"({"promt": "a", "override_settings": {"samples_format": "png"}})",
                   {.ignore_unknown = true}));
}

TEST(Json, OneFieldUnderTwoNamesIsAnError) {
  const std::string_view twice = R"({"sampler": "Euler", "sampler_name": "Heun"})";
  EXPECT_EQ(failure_of(twice),
            "the request has 'sampler' and 'sampler_name', which are one field; leave one out");
  const Result<Request> lenient = read(twice, {.ignore_unknown = true});
  ASSERT_TRUE(lenient);
  EXPECT_EQ(lenient->sampler, "Heun");
}

TEST(Json, WrongTypesAreNamed) {
  EXPECT_EQ(failure_of("[]"), "a request is a JSON object");
  EXPECT_EQ(failure_of(R"({"prompt": 7})"), "prompt is 7; a text is needed");
  EXPECT_EQ(failure_of(R"({"prompt": ["a"]})"), "prompt is [\"a\"]; a text is needed");
  EXPECT_EQ(failure_of(R"({"steps": true})"), "steps is true; a number is needed");
  EXPECT_EQ(failure_of(R"({"steps": {}})"), "steps is {}; a number is needed");
  EXPECT_EQ(failure_of(R"({"steps": "many"})"), "steps is 'many'; a whole number is needed");
  EXPECT_EQ(failure_of(R"({"steps": 20.5})"),
            "steps is 2.05E1; a whole number is needed, at most 2^53");
  EXPECT_EQ(failure_of(R"({"seed": 18446744073709551615})"),
            "seed is 18446744073709551615; a whole number is needed, at most 2^53");
  EXPECT_EQ(failure_of(R"({"cfg_scale": "nan"})"), "cfg_scale is 'nan'; a number is needed");
  EXPECT_EQ(failure_of(R"({"override_settings": []})"), "override_settings is a JSON object");
  EXPECT_EQ(failure_of(fmt::format(R"({{"steps": "{}"}})", std::string(1000, '9'))),
            fmt::format("steps is '{}...'; a whole number is needed", std::string(80, '9')));
}

TEST(Json, LargeNumbersAreErrors) {
  EXPECT_EQ(failure_of(R"({"cfg_scale": 1e999})"), "bad JSON at byte 19: exponent overflow");
  EXPECT_EQ(failure_of(R"({"steps": 1e300})"),
            "steps is 1E300; a whole number is needed, at most 2^53");
}

TEST(Validate, RangesOfNumbers) {
  Request request;
  request.steps = 0;
  EXPECT_EQ(invalid(request), "steps is 0; 1 to 1000 is possible");
  request = {};
  request.steps = 1001;
  EXPECT_EQ(invalid(request), "steps is 1001; 1 to 1000 is possible");
  request = {};
  request.seed = -2;
  EXPECT_EQ(invalid(request), "seed is -2; -1 to 9007199254740992 is possible");
  request = {};
  request.subseed_strength = 1.5;
  EXPECT_EQ(invalid(request), "subseed_strength is 1.5; 0 to 1 is possible");
}

TEST(Validate, EveryNumberRefusesNanAndInfinity) {
  for (const Field& field : fields()) {
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      Request request;
      if (const auto* real = std::get_if<double Request::*>(&field.member)) {
        request.** real = value;
      } else if (const auto* maybe = std::get_if<std::optional<double> Request::*>(&field.member)) {
        request.** maybe = value;
      } else {
        continue;
      }
      const bool unbounded = field.key == "s_tmax" && value == HUGE_VAL;
      EXPECT_EQ(invalid(request) == "nothing failed", unbounded) << field.key << value;
    }
  }
}

TEST(Validate, SizesNameTheNearestValidOnes) {
  const auto with_width = [](int64_t width) {
    Request request;
    request.width = width;
    return invalid(request);
  };
  EXPECT_EQ(with_width(0), "nothing failed");
  EXPECT_EQ(with_width(64), "nothing failed");
  EXPECT_EQ(with_width(8192), "nothing failed");
  EXPECT_EQ(with_width(513), "width is 513; it must be a multiple of 8, such as 512 or 520");
  EXPECT_EQ(with_width(7), "width is 7; it must be a multiple of 8, such as 64 or 72");
  EXPECT_EQ(with_width(56), "width is 56; at least 64 is needed");
  EXPECT_EQ(with_width(8200), "width is 8200; 0 to 8192 is possible");
  EXPECT_EQ(with_width(-8), "width is -8; 0 to 8192 is possible");
  Request request;
  request.width = request.height = 8192;
  EXPECT_EQ(invalid(request), "8192 x 8192 are 67108864 pixels; at most 16777216 are drawn");
}

TEST(Validate, Texts) {
  Request request;
  request.prompt = std::string(kMaxPromptBytes, 'a');
  EXPECT_EQ(invalid(request), "nothing failed");
  request.prompt += 'a';
  EXPECT_EQ(invalid(request), "prompt is 1048577 bytes long; at most 1048576 are read");
  request.prompt = "ab\xC3(";
  EXPECT_EQ(invalid(request), "prompt is not valid UTF-8 at byte 2; UTF-8 text is needed");
  request.prompt = std::string("a\0b", 3);
  EXPECT_EQ(invalid(request), "prompt is a text with a zero byte; plain text is needed");
  request = {};
  request.noise_source = "gpu";
  EXPECT_EQ(invalid(request), "noise_source is 'gpu'; one of cpu, nv is needed");
  request = {};
  request.emphasis = "";
  EXPECT_EQ(invalid(request),
            "emphasis is ''; one of original, no-norm, ignore, comfyui is needed");
}

TEST(Validate, FieldsThatBelongTogether) {
  Request request;
  request.guidance_start = 0.6;
  request.guidance_end = 0.5;
  EXPECT_EQ(invalid(request), "guidance_start is 0.6, behind guidance_end 0.5");
  request = {};
  request.seed_resize_from_w = 64;
  EXPECT_EQ(invalid(request),
            "seed_resize_from_w and seed_resize_from_h are given together or not at all");
  request.seed_resize_from_h = 65;
  EXPECT_EQ(invalid(request), "a seed_resize_from size is 65; multiples of 8 are possible");
  request = {};
  request.sigma_min = 5;
  request.sigma_max = 2.5;
  EXPECT_EQ(invalid(request), "sigma_min is 5, not below sigma_max 2.5");
  request = {};
  request.rho = 0.05;
  EXPECT_EQ(invalid(request), "rho is 0.05; 0.1 to 100 is possible, or 0 for the schedule's own");
}

TEST(Json, TakesSdWebuisSwitchOfTheLastSigma) {
  const auto read_switch = [](const std::string& value) {
    return read(R"({"override_settings": {"always_discard_next_to_last_sigma": )" + value +
                R"(, "sigma_min": 0.1, "rho": 5}})");
  };
  EXPECT_EQ(read_switch("true")->discard_penultimate_sigma, "on");
  EXPECT_EQ(read_switch("false")->discard_penultimate_sigma, "auto");
  EXPECT_EQ(read_switch("\"off\"")->discard_penultimate_sigma, "off");
  EXPECT_EQ(read_switch("true")->sigma_min, 0.1);
  EXPECT_EQ(read_switch("true")->rho, 5);
  EXPECT_FALSE(read_switch("3"));
}

TEST(SetText, TakesNumbersAsFlagsGiveThem) {
  Request request;
  const auto set = [&](std::string_view key, std::string_view text) {
    const Status done = set_text(request, *find_field(key), text);
    return done ? "" : done.error().message;
  };
  EXPECT_EQ(set("steps", " 30 "), "");
  EXPECT_EQ(request.steps, 30);
  EXPECT_EQ(set("eta", "0.5"), "");
  EXPECT_EQ(request.eta, 0.5);
  EXPECT_EQ(set("s_tmax", "inf"), "");
  EXPECT_EQ(set("steps", "3x"), "steps is '3x'; a whole number is needed");
  EXPECT_EQ(set("steps", ""), "steps is ''; a whole number is needed");
  EXPECT_EQ(set("seed", "99999999999999999999"),
            "seed is '99999999999999999999'; a whole number is needed");
  EXPECT_EQ(set("cfg_scale", "1e999"), "cfg_scale is '1e999'; a number is needed");
  EXPECT_EQ(request.steps, 30);
}

TEST(Lists, AreReadFromJsonAndFlags) {
  const auto read = from_json(*parse_json(R"({"styles":["a","b, c"],"all_prompts":"x"})"));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->styles, (Texts{"a", "b, c"}));
  EXPECT_EQ(read->all_prompts, Texts{"x"});
  EXPECT_EQ(*from_json(to_json(*read)), *read);
  EXPECT_EQ(from_json(*parse_json(R"({"styles":[1]})")).error().message,
            "styles is [1]; a list of texts is needed");
  Request request;
  ASSERT_TRUE(set_text(request, *find_field("styles"), "one").ok());
  ASSERT_TRUE(set_text(request, *find_field("styles"), "two").ok());
  EXPECT_EQ(request.styles, (Texts{"one", "two"}));
}

TEST(Lists, AreChecked) {
  Request request;
  request.batch_size = 2;
  request.all_prompts = {"a"};
  EXPECT_EQ(invalid(request),
            "all_prompts has 1 texts for 2 pictures (batch_size x batch_count); one for each is "
            "needed");
  request.all_prompts = {"a", "\xFF"};
  EXPECT_EQ(invalid(request), "all_prompts is not valid UTF-8 at byte 0; UTF-8 text is needed");
  request.all_prompts = {};
  request.styles.assign(9, std::string(kMaxPromptBytes, 's'));
  EXPECT_EQ(invalid(request),
            "styles is 9437184 bytes long in all; at most 8388608 are read; ask for fewer pictures "
            "at once");
}

TEST(Switches, TakeJsonsTrueAndFalse) {
  EXPECT_EQ(from_json(*parse_json(R"({"wildcards":false})"))->wildcards, "off");
  EXPECT_EQ(from_json(*parse_json(R"({"wildcards":true})"))->wildcards, "on");
  EXPECT_EQ(from_json(*parse_json(R"({"wildcards":"off"})"))->wildcards, "off");
}

}  // namespace
}  // namespace safelight::request
