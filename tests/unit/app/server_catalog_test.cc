#include "app/server_catalog.h"

#include <gtest/gtest.h>

#include "unit/app/support.h"

namespace safelight::app {
namespace {

const std::filesystem::path kShipped = std::filesystem::path(SAFELIGHT_SOURCE_DIR) / "models";

/// A catalog of the model that comes with the program, with a home of its own.
class ServerCatalogTest : public ::testing::Test {
 protected:
  ServerCatalogTest() {
    folder_.put("data/secret.safetensors", "not a model");
    auto library = open_library(
        {kShipped.string()},
        [this](const char* name) -> std::optional<std::string> {
          return std::string(name) == "HOME" ? std::optional((folder_ / "home").string())
                                             : std::nullopt;
        },
        "/nowhere/bin/safelight");
    if (!library) throw std::runtime_error(library.error().message);
    catalog_ = std::make_unique<ServerCatalog>(std::move(*library),
                                               std::vector<std::string>{kShipped.string()}, "");
  }

  Folder folder_;
  std::unique_ptr<ServerCatalog> catalog_;
};

TEST_F(ServerCatalogTest, FindsByNameTitleAndHash) {
  const auto model = catalog_->find("");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->name, "emoji-128");
  const auto hash = catalog_->sha256(*model);
  ASSERT_TRUE(hash);
  for (const std::string& name : {std::string("emoji-128"), std::string("emoji-128.safetensors"),
                                  hash->substr(0, 10), catalog_->find("emoji-128")->title()}) {
    const auto found = catalog_->find(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->path, model->path);
    EXPECT_EQ(found->sha256, *hash);
  }
}

TEST_F(ServerCatalogTest, ClientsCannotNameFilesOfTheServer) {
  const std::string secret = (folder_ / "data/secret.safetensors").string();
  for (const std::string& name : {secret, kShipped.string() + "/../models/nothing.safetensors"}) {
    const auto found = catalog_->find(name);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
  }
}

TEST_F(ServerCatalogTest, ResolveLeavesNothingToChoose) {
  request::Request asked;
  asked.prompt = "owl";
  asked.subseed_strength = 0.5;
  api::ModelInfo model;
  const auto request = catalog_->resolve(asked, api::UnknownNames::kRefuse, model);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "emoji-128");
  EXPECT_EQ(request->width, 128);
  EXPECT_EQ(request->height, 128);
  EXPECT_GE(request->seed, 0);
  EXPECT_GE(request->subseed, 0);
  EXPECT_EQ(model.sha256.size(), 64U);
  api::ModelInfo again;
  EXPECT_EQ(*catalog_->resolve(*request, api::UnknownNames::kRefuse, again), *request);
}

TEST_F(ServerCatalogTest, ResolveRefusesWhatCannotBeDrawn) {
  api::ModelInfo model;
  request::Request asked;
  asked.sampler = "Oiler";
  EXPECT_EQ(catalog_->resolve(asked, api::UnknownNames::kRefuse, model).error().code,
            ErrorCode::kInvalidArgument);
  asked = {};
  asked.steps = 0;
  EXPECT_EQ(catalog_->resolve(asked, api::UnknownNames::kRefuse, model).error().code,
            ErrorCode::kInvalidArgument);
  asked = {};
  asked.model = "emoji-127";
  EXPECT_NE(catalog_->resolve(asked, api::UnknownNames::kRefuse, model)
                .error()
                .message.find("did you mean 'emoji-128'?"),
            std::string::npos);
}

}  // namespace
}  // namespace safelight::app
