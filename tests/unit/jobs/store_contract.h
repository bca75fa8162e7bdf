#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/hash.h"
#include "jobs/store.h"

namespace safelight::jobs {

/// A kind of store that the tests of what every Store promises (store_contract_test.cc) run on.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  /// Opens a store on the data of this harness, after closing the one before it.
  virtual void open(const Retention& retention) = 0;
  virtual Store& store() = 0;
  /// Why it cannot run on this machine; empty when it can.
  virtual std::string missing() const { return ""; }
};

/// Instantiate with INSTANTIATE_TEST_SUITE_P(Name, StoreContract, ::testing::Values(&make)).
class StoreContract : public ::testing::TestWithParam<std::unique_ptr<StoreHarness> (*)()> {
 protected:
  void SetUp() override {
    harness_ = GetParam()();
    if (!harness_->missing().empty()) GTEST_SKIP() << harness_->missing();
    harness_->open({});
  }
  void reopen(const Retention& retention = {}) { harness_->open(retention); }
  Store& store() { return harness_->store(); }

  /// Submits one job and returns its id; empty when that fails.
  std::string submit(const NewJob& job) {
    const auto accepted = store().submit({job});
    EXPECT_TRUE(accepted) << accepted.error().message;
    return accepted && accepted->size() == 1 ? accepted->front().id : "";
  }
  Job find(const std::string& id) {
    auto job = store().find(id);
    EXPECT_TRUE(job) << job.error().message;
    return job ? *job : Job{};
  }
  std::optional<Claim> claim(const ClaimOptions& options = {.worker = "w"}) {
    auto claim = store().claim(options);
    EXPECT_TRUE(claim) << claim.error().message;
    return claim ? *claim : std::nullopt;
  }

 private:
  std::unique_ptr<StoreHarness> harness_;
};

/// A job of 1 megapixel-step.
inline NewJob example_job(const std::string& owner = "ann", const std::string& model = "m") {
  NewJob job;
  job.request.prompt = "a red apple";
  job.request.model = model;
  job.request.steps = 1;
  job.request.seed = 7;
  job.request.width = job.request.height = 1000;
  job.model_sha256 = model;
  job.owner = owner;
  job.source = "native";
  return job;
}

inline FinishedPicture example_picture(const std::string& data, int64_t index = 0) {
  FinishedPicture picture;
  picture.data = data;
  picture.file.index = index;
  picture.file.sha256 = sha256(std::as_bytes(std::span(data)));
  picture.file.media_type = "image/png";
  picture.file.bytes = data.size();
  picture.file.width = picture.file.height = 8;
  picture.file.seed = 7;
  picture.file.infotext = "a red apple\nSteps: 1";
  return picture;
}

}  // namespace safelight::jobs
