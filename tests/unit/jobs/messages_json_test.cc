#include <gtest/gtest.h>

#include <limits>

#include <boost/json/serialize.hpp>

#include "base/json.h"
#include "jobs/eta.h"
#include "jobs/messages.h"

namespace safelight::jobs {
namespace {

NewJob example() {
  NewJob job;
  job.request.prompt = "a \"red\" apple\n";
  job.request.seed = 4294967295;
  job.request.cfg_scale = 0.1;
  job.request.s_noise = 1.0000000000000002;
  job.request.eta = 0.0;
  job.request.s_tmax = 3;
  job.delivery = {
      .format = "jpeg", .quality = 71, .metadata = false, .save = true, .pattern = "[seed]"};
  job.owner = "ann";
  job.idempotency_key = "k";
  job.fingerprint = "f";
  job.policy = "strict";
  job.deadline = 1'900'000'000'000;
  job.priority = -3;
  return job;
}

TEST(MessagesJson, AJobComesBackExactly) {
  const NewJob job = example();
  const auto text = boost::json::serialize(to_json(job));
  const auto parsed = parse_json(text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto back = new_job_from_json(*parsed);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->request, job.request);
  EXPECT_EQ(back->delivery, job.delivery);
  EXPECT_EQ(back->deadline, job.deadline);
  EXPECT_EQ(back->priority, job.priority);
  EXPECT_EQ(back->idempotency_key, job.idempotency_key);
  EXPECT_EQ(back->fingerprint, job.fingerprint);
  EXPECT_EQ(back->policy, job.policy);
}

TEST(MessagesJson, WrongMembersAreNamed) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"[]", "job is no JSON object"},
           {R"({"priority": "high"})", "job.priority must be a whole number that fits"},
           {R"({"priority": 1e30})", "job.priority must be a whole number that fits"},
           {R"({"owner": 3})", "job.owner must be a text"},
           {R"({"delivery": {"metadata": 1}})", "job: delivery.metadata must be true or false"},
           {R"({"request": {"stepz": 3}})", "stepz"}}) {
    const auto read = new_job_from_json(*parse_json(text));
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().message.find(message), std::string::npos) << read.error().message;
  }
}

TEST(Eta, LearnsFromRunsOfTheModel) {
  EtaEstimator eta;
  request::Request request;
  request.model = "m";
  request.width = request.height = 512;
  EXPECT_LT(eta.estimate(request), 0);
  eta.learn(request, 22);
  EXPECT_NEAR(eta.estimate(request), 22, 1e-9);
  request.steps = 42;  // with what decoding costs, twice the work of 20
  EXPECT_NEAR(eta.estimate(request), 44, 1e-9);
  request.batch_count = 3;
  EXPECT_NEAR(eta.estimate(request), 132, 1e-9);
  request.model = "other";
  EXPECT_LT(eta.estimate(request), 0);
}

}  // namespace
}  // namespace safelight::jobs
