#include "api/options.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "request/request.h"
#include "support/temporary_folder.h"

namespace safelight::api {
namespace {

namespace json = boost::json;

class OptionsTest : public testing::Test {
 protected:
  std::unique_ptr<Options> open() {
    Result<std::unique_ptr<Options>> options = Options::open(folder_.path(), "/pictures");
    EXPECT_TRUE(options.ok());
    return std::move(*options);
  }
  static json::object object(std::string_view text) { return parse_json(text)->as_object(); }

  test::TemporaryFolder folder_;
};

TEST_F(OptionsTest, EveryDefaultFitsItsOwnOption) {
  const std::unique_ptr<Options> options = open();
  const json::object values = options->values();
  EXPECT_EQ(values.size(), Options::table().size());
  const Result<json::object> checked = Options::check(values);
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  const auto read_only = std::count_if(Options::table().begin(), Options::table().end(),
                                       [](const OptionInfo& option) { return option.read_only; });
  EXPECT_EQ(checked->size() + static_cast<size_t>(read_only), values.size());
}

TEST_F(OptionsTest, SectionsAndFieldsExist) {
  for (const OptionInfo& option : Options::table()) {
    const auto sections = Options::sections();
    EXPECT_TRUE(std::any_of(sections.begin(), sections.end(), [&](const OptionSection& section) {
      return section.id == option.section;
    })) << option.key;
    if (!option.field.empty()) {
      EXPECT_NE(request::find_field(option.field), nullptr) << option.key;
    }
  }
}

TEST_F(OptionsTest, AFullDictMayBePostedBack) {
  const std::unique_ptr<Options> options = open();
  const auto updated = options->set(options->values());
  ASSERT_TRUE(updated.ok()) << updated.error().message;
  EXPECT_TRUE(updated->empty());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "options.json"));
}

TEST_F(OptionsTest, WhatIsSetStays) {
  {
    const std::unique_ptr<Options> options = open();
    const auto updated = options->set(object(R"({"samples_format":"WEBP","jpeg_quality":75,
        "unknown_key":[1],"outdir_txt2img_samples":"/etc","samples_save":null})"));
    ASSERT_TRUE(updated.ok()) << updated.error().message;
    EXPECT_EQ(*updated, (std::vector<std::string>{"samples_format", "jpeg_quality"}));
  }
  EXPECT_EQ(*read_file(folder_.path() / "options.json"),
            "{\n  \"samples_format\": \"webp\",\n  \"jpeg_quality\": 75\n}\n");
  const std::unique_ptr<Options> options = open();
  EXPECT_EQ(options->text("samples_format"), "webp");
  EXPECT_EQ(options->integer("jpeg_quality"), 75);
  EXPECT_EQ(options->text("outdir_txt2img_samples"), "/pictures");
  EXPECT_TRUE(options->flag("samples_save"));
}

TEST_F(OptionsTest, OnlyWhatDiffersFromItsDefaultIsKept) {
  const std::unique_ptr<Options> options = open();
  ASSERT_TRUE(options->set(object(R"({"jpeg_quality":75,"s_noise":1})")).ok());
  ASSERT_TRUE(options->set(object(R"({"jpeg_quality":90.0})")).ok());
  EXPECT_EQ(*read_file(folder_.path() / "options.json"), "{\n}\n");
}

TEST_F(OptionsTest, WrongValuesChangeNothing) {
  const std::unique_ptr<Options> options = open();
  const char* const kWrong[] = {
      R"({"jpeg_quality":"90"})",           R"({"jpeg_quality":0})",
      R"({"jpeg_quality":50.5})",           R"({"samples_save":1})",
      R"({"samples_format":"bmp"})",        R"({"samples_format":7})",
      R"({"sd_vae":["vae-ft-mse"]})",       R"({"samples_filename_pattern":"[nonsense]"})",
      R"({"CLIP_stop_at_last_layers":99})", R"({"sd_model_checkpoint":{}})",
  };
  for (const char* const text : kWrong) {
    json::object changes = object(text);
    const std::string key(changes.begin()->key());
    changes["enable_pnginfo"] = false;
    const auto updated = options->set(changes);
    ASSERT_FALSE(updated.ok()) << text;
    EXPECT_EQ(updated.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(updated.error().message.find(key), std::string::npos) << updated.error().message;
    EXPECT_TRUE(options->flag("enable_pnginfo"));
  }
}

TEST_F(OptionsTest, RequestsTakeTheirDefaultsFromThem) {
  const std::unique_ptr<Options> options = open();
  EXPECT_EQ(options->request_defaults(), json::object());
  ASSERT_TRUE(options
                  ->set(object(R"({"sd_model_checkpoint":"emoji-128","CLIP_stop_at_last_layers":2,
      "emphasis":"no norm","randn_source":"GPU","s_tmax":0,"eta_noise_seed_delta":31337,
      "samples_format":"jpg"})"))
                  .ok());
  EXPECT_EQ(options->request_defaults(), object(R"({"model":"emoji-128","clip_skip":2,
      "emphasis":"no-norm","noise_source":"nv","eta_noise_seed_delta":31337})"));
  const auto request = request::from_json(options->request_defaults());
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request::validate(*request).ok());
}

TEST_F(OptionsTest, EveryChoiceOfARequestsFieldIsOneOfTheField) {
  for (const OptionInfo& option : Options::table()) {
    std::string_view rest = option.field.empty() ? std::string_view() : option.choices;
    while (!rest.empty()) {
      const std::string_view choice = rest.substr(0, rest.find('|'));
      const json::object fields = Options::request_fields({{option.key, choice}});
      const auto request = request::from_json(fields);
      ASSERT_TRUE(request.ok());
      EXPECT_TRUE(request::validate(*request).ok()) << option.key << " " << choice;
      rest.remove_prefix(std::min(choice.size() + 1, rest.size()));
    }
  }
}

TEST_F(OptionsTest, AFileThatSomebodyEditedIsReadAsFarAsItFits) {
  ASSERT_TRUE(write_file_atomically(folder_.path() / "options.json",
                                    R"({"jpeg_quality":"high","samples_format":"jpg","old":1})")
                  .ok());
  const std::unique_ptr<Options> options = open();
  EXPECT_EQ(options->integer("jpeg_quality"), 90);
  EXPECT_EQ(options->text("samples_format"), "jpg");

  ASSERT_TRUE(write_file_atomically(folder_.path() / "options.json", "{\"jpeg_qual").ok());
  const auto broken = Options::open(folder_.path(), "/pictures");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, ErrorCode::kCorruptFile);
  EXPECT_NE(broken.error().message.find("options.json"), std::string::npos);
}

TEST_F(OptionsTest, WhatCannotBeWrittenIsNotSet) {
  const std::unique_ptr<Options> options = open();
  std::filesystem::create_directory(folder_.path() / "options.json");
  const auto updated = options->set(object(R"({"jpeg_quality":75})"));
  ASSERT_FALSE(updated.ok());
  EXPECT_EQ(updated.error().code, ErrorCode::kIo);
  EXPECT_EQ(options->integer("jpeg_quality"), 90);
}

}  // namespace
}  // namespace safelight::api
