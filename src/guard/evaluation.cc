#include "guard/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "base/json.h"

namespace safelight::guard {
namespace {

namespace json = boost::json;

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kCurvePoints = 400;

/// Letters of OpenAI's moderation set of 2022 and the hazard that each is of.
struct Letter {
  std::string_view name, hazard;
};
constexpr std::array kLetters = {Letter{"S", "S12"},  Letter{"S3", "S4"},  Letter{"H", "S10"},
                                 Letter{"H2", "S10"}, Letter{"HR", "S10"}, Letter{"V", "S1"},
                                 Letter{"V2", "S1"},  Letter{"SH", "S11"}};

/// What stands at the rank of a threshold: how many rows of each kind lie at or above it.
struct Counts {
  double hits = 0, false_alarms = 0;
};

double ratio(double part, double whole) { return whole > 0 ? part / whole : kUndefined; }

/// The measures of rows in falling order of score, row i counting `weights[i]` times.
struct Measures {
  double precision, recall, f1, false_positive_rate, average_precision, roc_area;
};

Measures measure(const std::vector<ScoredLabel>& rows, const std::vector<uint32_t>& weights,
                 double threshold) {
  double positives = 0, negatives = 0;
  for (size_t i = 0; i < rows.size(); ++i) (rows[i].positive ? positives : negatives) += weights[i];
  Counts seen, flagged;
  double precision_sum = 0, area = 0;
  for (size_t i = 0; i < rows.size();) {
    const Counts before = seen;
    size_t end = i;  // rows of one score come together: a threshold cannot part them
    for (; end < rows.size() && rows[end].score == rows[i].score; ++end)
      (rows[end].positive ? seen.hits : seen.false_alarms) += weights[end];
    if (seen.hits > before.hits)
      precision_sum += (seen.hits - before.hits) * seen.hits / (seen.hits + seen.false_alarms);
    area += (seen.false_alarms - before.false_alarms) * (seen.hits + before.hits) / 2;
    if (rows[i].score >= threshold) flagged = seen;
    i = end;
  }
  return {.precision = ratio(flagged.hits, flagged.hits + flagged.false_alarms),
          .recall = ratio(flagged.hits, positives),
          .f1 = ratio(2 * flagged.hits, flagged.hits + flagged.false_alarms + positives),
          .false_positive_rate = ratio(flagged.false_alarms, negatives),
          .average_precision = ratio(precision_sum, positives),
          .roc_area = ratio(area, positives * negatives)};
}

/// The middle 95 % of the values that are defined.
void set_interval(Estimate& estimate, std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  estimate.low = estimate.high = estimate.value;
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  estimate.low = at(0.025);
  estimate.high = at(0.975);
}

void resample(const std::vector<ScoredLabel>& rows, double threshold, size_t resamples,
              Evaluation& out) {
  const std::array<std::pair<Estimate*, double Measures::*>, 6> estimates = {{
      {&out.precision, &Measures::precision},
      {&out.recall, &Measures::recall},
      {&out.f1, &Measures::f1},
      {&out.false_positive_rate, &Measures::false_positive_rate},
      {&out.average_precision, &Measures::average_precision},
      {&out.roc_area, &Measures::roc_area},
  }};
  std::vector<uint32_t> weights(rows.size(), 1);
  const Measures whole = measure(rows, weights, threshold);
  for (const auto& [estimate, member] : estimates) estimate->value = whole.*member;
  std::vector<Measures> drawn;
  std::mt19937_64 random(8);
  for (size_t draw = 0; draw < resamples && !rows.empty(); ++draw) {
    std::fill(weights.begin(), weights.end(), 0U);
    for (size_t i = 0; i < rows.size(); ++i) ++weights[(random() >> 32) * rows.size() >> 32];
    drawn.push_back(measure(rows, weights, threshold));
  }
  for (const auto& [estimate, member] : estimates) {
    std::vector<double> values;
    values.reserve(drawn.size());
    for (const Measures& one : drawn) values.push_back(one.*member);
    set_interval(*estimate, std::move(values));
  }
}

/// Keeps at most kCurvePoints, the ends among them.
void thin(std::vector<Evaluation::Point>& curve) {
  if (curve.size() <= kCurvePoints) return;
  for (size_t i = 0; i < kCurvePoints; ++i)
    curve[i] = curve[i * (curve.size() - 1) / (kCurvePoints - 1)];
  curve.resize(kCurvePoints);
}

void draw_curves(const std::vector<ScoredLabel>& rows, Evaluation& out) {
  const auto positives = static_cast<double>(out.positives);
  const auto negatives = static_cast<double>(out.negatives);
  Counts seen;
  out.roc.push_back({0, 0});
  for (size_t i = 0; i < rows.size(); ++i) {
    (rows[i].positive ? seen.hits : seen.false_alarms) += 1;
    if (i + 1 < rows.size() && rows[i + 1].score == rows[i].score) continue;
    if (positives > 0 && negatives > 0)
      out.roc.push_back({seen.false_alarms / negatives, seen.hits / positives});
    if (positives > 0)
      out.precision_recall.push_back(
          {seen.hits / positives, seen.hits / (seen.hits + seen.false_alarms)});
  }
  thin(out.roc);
  thin(out.precision_recall);
}

void fill_bins(const std::vector<ScoredLabel>& rows, Evaluation& out) {
  for (const ScoredLabel& row : rows) {
    const auto index = static_cast<size_t>(std::clamp(row.score * 10, 0.0F, 9.0F));
    Evaluation::Bin& bin = out.bins[index];
    bin.rows += 1;
    bin.mean_score += row.score;
    bin.share_positive += row.positive ? 1 : 0;
  }
  for (Evaluation::Bin& bin : out.bins) {
    if (bin.rows == 0) continue;
    const auto count = static_cast<double>(bin.rows);
    out.calibration_error +=
        std::abs(bin.mean_score - bin.share_positive) / static_cast<double>(rows.size());
    bin.mean_score /= count;
    bin.share_positive /= count;
  }
}

Error bad_field(std::string_view name, std::string_view expected) {
  return {ErrorCode::kInvalidArgument, fmt::format("field '{}' must be {}", name, expected)};
}

/// The strings of a list that may be absent or null.
Result<std::vector<std::string>> read_names(const json::object& row, std::string_view name) {
  std::vector<std::string> names;
  const json::value* value = row.if_contains(name);
  if (value == nullptr || value->is_null()) return names;
  if (!value->is_array()) return bad_field(name, "a list of strings");
  for (const json::value& element : value->as_array()) {
    if (!element.is_string()) return bad_field(name, "a list of strings");
    names.emplace_back(element.as_string());
  }
  return names;
}

std::optional<size_t> hazard_of_unknown(std::string_view name) {
  for (const Letter& letter : kLetters) {
    if (letter.name == name) return find_hazard(letter.hazard);
  }
  return find_hazard(name);
}

}  // namespace

Result<LabelledText> read_labelled_text(std::string_view line) {
  const Result<json::value> parsed = parse_json(line);
  if (!parsed) return parsed.error();
  if (!parsed->is_object())
    return Error{ErrorCode::kInvalidArgument, "each line must be a JSON object"};
  const json::object& row = parsed->as_object();
  const json::value* text = row.if_contains("text");
  const json::value* unsafe = row.if_contains("unsafe");
  if (text == nullptr || !text->is_string()) return bad_field("text", "a string");
  if (unsafe == nullptr || !unsafe->is_bool()) return bad_field("unsafe", "true or false");
  const Result<std::vector<std::string>> categories = read_names(row, "categories");
  if (!categories) return categories.error();
  const Result<std::vector<std::string>> unknown = read_names(row, "unknown");
  if (!unknown) return unknown.error();

  LabelledText labelled{.text = std::string(text->as_string()), .unsafe = unsafe->as_bool()};
  if (const json::value* source = row.if_contains("source"); source && source->is_string())
    labelled.source = source->as_string();
  if (!labelled.unsafe || !categories->empty()) labelled.hazards.fill(false);
  for (const std::string& name : *unknown) {
    if (const auto hazard = hazard_of_unknown(name)) labelled.hazards[*hazard] = std::nullopt;
  }
  for (const std::string& code : *categories) {
    const std::optional<size_t> hazard = find_hazard(code);
    if (!hazard) return bad_field("categories", fmt::format("S1 to S14; '{}' is none", code));
    labelled.hazards[*hazard] = true;
  }
  return labelled;
}

Evaluation evaluate(std::vector<ScoredLabel> rows, double threshold, size_t resamples) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ScoredLabel& a, const ScoredLabel& b) { return a.score > b.score; });
  Evaluation out;
  out.threshold = threshold;
  out.positives = static_cast<size_t>(
      std::count_if(rows.begin(), rows.end(), [](const ScoredLabel& row) { return row.positive; }));
  out.negatives = rows.size() - out.positives;
  resample(rows, threshold, resamples, out);
  draw_curves(rows, out);
  fill_bins(rows, out);
  return out;
}

}  // namespace safelight::guard
