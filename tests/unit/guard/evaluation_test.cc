#include "guard/evaluation.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "guard/evaluation_report.h"

namespace safelight::guard {
namespace {

/// tools/train/guard/record_metrics.py: values of scikit-learn.
TEST(Evaluate, EqualsScikitLearn) {
  const std::string file =
      std::string(SAFELIGHT_SOURCE_DIR) + "/tests/unit/guard/data/metrics.json";
  const auto cases = parse_json(*read_file(file));
  ASSERT_TRUE(cases);
  ASSERT_EQ(cases->as_array().size(), 3U);
  for (const auto& recorded : cases->as_array()) {
    std::vector<ScoredLabel> rows;
    const auto& scores = recorded.at("scores").as_array();
    for (size_t i = 0; i < scores.size(); ++i) {
      rows.push_back({scores[i].to_number<float>(), recorded.at("labels").as_array()[i].as_bool()});
    }
    const Evaluation e = evaluate(rows, recorded.at("threshold").to_number<double>(), 200);
    const auto expect = [&](const char* name, const Estimate& got) {
      EXPECT_NEAR(got.value, recorded.at(name).to_number<double>(), 1e-9) << name;
      EXPECT_LE(got.low, got.value) << name;
      EXPECT_GE(got.high, got.value) << name;
      EXPECT_LT(got.low, got.high) << name;
    };
    expect("precision", e.precision);
    expect("recall", e.recall);
    expect("f1", e.f1);
    expect("false_positive_rate", e.false_positive_rate);
    expect("average_precision", e.average_precision);
    expect("roc_area", e.roc_area);
  }
}

TEST(Evaluate, IntervalsShrinkWithMoreRows) {
  const auto width = [](int copies) {
    std::vector<ScoredLabel> rows;
    for (int i = 0; i < 20 * copies; ++i)
      rows.push_back({static_cast<float>(i % 10) / 10, i % 3 == 0});
    const Estimate recall = evaluate(rows, 0.5, 500).recall;
    return recall.high - recall.low;
  };
  EXPECT_LT(width(100), width(1) / 5);
}

TEST(Evaluate, MeasuresCalibrationInTenBins) {
  std::vector<ScoredLabel> rows;
  for (int i = 0; i < 10; ++i) rows.push_back({0.25F, i < 5});  // said 25 %, were 50 %
  for (int i = 0; i < 30; ++i) rows.push_back({1.0F, true});
  const Evaluation e = evaluate(rows, 0.5, 0);
  EXPECT_NEAR(e.calibration_error, 0.25 * 10 / 40, 1e-9);
  EXPECT_EQ(e.bins[2].rows, 10U);
  EXPECT_EQ(e.bins[9].rows, 30U);
  EXPECT_EQ(e.recall.low, e.recall.high) << "no resampling was asked for";
}

TEST(Evaluate, SaysWhatIsNotDefined) {
  const Evaluation none = evaluate({}, 0.5, 10);
  EXPECT_TRUE(std::isnan(none.recall.value));
  EXPECT_TRUE(std::isnan(none.average_precision.value));
  const Evaluation safe = evaluate({{0.1F, false}, {0.2F, false}}, 0.5, 10);
  EXPECT_TRUE(std::isnan(safe.precision.value));
  EXPECT_TRUE(std::isnan(safe.roc_area.value));
  EXPECT_EQ(safe.false_positive_rate.value, 0);
}

TEST(ReadLabelledText, KnowsWhatWasNotJudged) {
  const auto read = [](const char* line) { return *read_labelled_text(line); };
  const LabelledText known = read(R"({"text":"a","unsafe":true,"categories":["S2"],"source":"x"})");
  EXPECT_EQ(known.source, "x");
  EXPECT_EQ(known.hazards[1], true);
  EXPECT_EQ(known.hazards[0], false);
  EXPECT_EQ(read(R"({"text":"a","unsafe":true,"categories":[]})").hazards[0], std::nullopt);
  EXPECT_EQ(read(R"({"text":"a","unsafe":false})").hazards[0], false);
  const LabelledText partly = read(R"({"text":"a","unsafe":false,"unknown":["H2","S5","other"]})");
  EXPECT_EQ(partly.hazards[9], std::nullopt);
  EXPECT_EQ(partly.hazards[4], std::nullopt);
  EXPECT_EQ(partly.hazards[11], false);
}

TEST(ReadLabelledText, NamesTheFieldThatIsWrong) {
  for (const auto& [line, text] :
       {std::pair{"{", "bad JSON at byte"},
        {"[1]", "object"},
        {R"({"unsafe":true})", "'text'"},
        {R"({"text":"a","unsafe":1})", "'unsafe'"},
        {R"({"text":"a","unsafe":true,"categories":["S99"]})", "'S99'"},
        {R"({"text":"a","unsafe":true,"categories":"S1"})", "'categories'"}}) {
    const Result<LabelledText> read = read_labelled_text(line);
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_NE(read.error().message.find(text), std::string::npos) << read.error().message;
  }
}

EvaluationReport small_report() {
  EvaluationReport report{.dataset = "<b>set</b>.jsonl", .model = "m", .rows = 4, .resamples = 50};
  report.parts.push_back(
      {.name = "unsafe",
       .title = "any",
       .evaluation = evaluate({{0.9F, true}, {0.2F, false}, {0.4F, true}}, 0.5, 50),
       .judged_unsafe = 0.5});
  report.parts.push_back({.name = "S4",
                          .title = "none & nothing",
                          .evaluation = evaluate({{0.9F, false}}, 0.5, 50),
                          .judged_unsafe = NAN});
  report.sources.push_back({.name = "a", .safe = 1, .unsafe = 2, .false_alarms = 0, .hits = 1});
  return report;
}

TEST(EvaluationReport, WritesNullForWhatIsNotDefined) {
  const auto object = to_json(small_report());
  const auto& parts = object.at("parts").as_array();
  EXPECT_EQ(parts[0].at("recall").at("value").as_double(), 0.5);
  EXPECT_TRUE(parts[1].at("recall").at("value").is_null());
  EXPECT_TRUE(parts[1].at("judged_unsafe").is_null());
  EXPECT_NE(to_text(small_report()).find("S4"), std::string::npos);
}

TEST(EvaluationReport, DrawsAPageOfItsOwn) {
  const std::string page = to_html(small_report());
  EXPECT_EQ(page.find("<b>set"), std::string::npos) << "escaped";
  EXPECT_NE(page.find("&lt;b&gt;set"), std::string::npos);
  EXPECT_NE(page.find("none &amp; nothing"), std::string::npos);
  EXPECT_NE(page.find("<polyline"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos) << "nothing from outside";
  EXPECT_EQ(page.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace safelight::guard
