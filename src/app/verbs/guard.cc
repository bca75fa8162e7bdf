#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/progress.h"
#include "app/text_guard.h"
#include "app/verbs/verbs.h"
#include "base/file.h"
#include "base/text.h"
#include "guard/evaluation_report.h"

namespace safelight::app {
namespace {

using guard::EvaluationReport;

constexpr size_t kMaxRows = 5'000'000, kLinesBetweenUpdates = 256;
constexpr double kHazardThreshold = 0.5;

struct Options {
  std::string dataset, json, html, lists;
  std::optional<float> threshold;
  size_t resamples = 1000;
  bool quiet = false;
};

/// What the cascade says of a row, without its text.
struct JudgedRow {
  guard::LabelledText label;
  guard::TextScores scores;
  bool unsafe = false;
};

/// A phrase that decides alone is the surest of verdicts.
float overall_score(const guard::TextFindings& findings) {
  return findings.unsafe(std::numeric_limits<float>::infinity()) ? 1.0F : findings.scores.unsafe;
}

Result<std::vector<JudgedRow>> judge_dataset(const guard::TextCascade& cascade,
                                             const Options& options, float threshold) {
  std::ifstream stream(options.dataset, std::ios::binary);
  std::error_code failure;
  if (!stream || !std::filesystem::is_regular_file(options.dataset, failure)) {
    return Error{ErrorCode::kNotFound, fmt::format("{}: there is no such file", options.dataset)};
  }
  const uint64_t size = std::filesystem::file_size(options.dataset, failure);
  Progress progress(stderr, options.quiet ? Progress::Style::kQuiet : style_of(stderr));
  const auto begin = std::chrono::steady_clock::now();
  LineReader lines(stream, options.dataset);
  std::vector<JudgedRow> rows;
  std::string line;
  while (true) {
    const Result<bool> more = lines.next(line);
    if (!more) return more.error();
    if (!*more) return rows;
    if (trimmed(line).empty()) continue;
    const std::string place = fmt::format("{}, line {}", lines.name(), lines.number());
    if (rows.size() == kMaxRows) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: more than {} rows", place, kMaxRows)};
    }
    Result<guard::LabelledText> label = guard::read_labelled_text(line);
    if (!label) return label.error().in(place);
    const guard::TextFindings findings = cascade.judge(label->text);
    label->text.clear();
    JudgedRow row{.label = std::move(*label),
                  .scores = findings.scores,
                  .unsafe = findings.unsafe(threshold)};
    row.scores.unsafe = overall_score(findings);
    rows.push_back(std::move(row));
    if (lines.number() % kLinesBetweenUpdates != 0) continue;
    progress.update(
        {.step = static_cast<int64_t>(lines.bytes_read() >> 10),
         .steps = static_cast<int64_t>(size >> 10),
         .unit = "KiB"},
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}

EvaluationReport::Part overall_part(const std::vector<JudgedRow>& rows, float threshold,
                                    size_t resamples) {
  std::vector<guard::ScoredLabel> labels;
  labels.reserve(rows.size());
  for (const JudgedRow& row : rows) labels.push_back({row.scores.unsafe, row.label.unsafe});
  EvaluationReport::Part part{.name = "unsafe", .title = "any hazard"};
  part.evaluation = guard::evaluate(std::move(labels), threshold, resamples);
  part.judged_unsafe = part.evaluation.recall.value;
  return part;
}

EvaluationReport::Part hazard_part(const std::vector<JudgedRow>& rows, size_t hazard,
                                   size_t resamples) {
  std::vector<guard::ScoredLabel> labels;
  size_t positives = 0, judged_unsafe = 0;
  for (const JudgedRow& row : rows) {
    const std::optional<bool> label = row.label.hazards[hazard];
    if (!label) continue;
    labels.push_back({row.scores.hazards[hazard], *label});
    positives += *label ? 1 : 0;
    judged_unsafe += *label && row.unsafe ? 1 : 0;
  }
  EvaluationReport::Part part{.name = std::string(guard::hazards()[hazard].code),
                              .title = std::string(guard::hazards()[hazard].name)};
  part.evaluation = guard::evaluate(std::move(labels), kHazardThreshold, resamples);
  part.judged_unsafe =
      positives > 0 ? static_cast<double>(judged_unsafe) / static_cast<double>(positives) : NAN;
  return part;
}

EvaluationReport make_report(const std::vector<JudgedRow>& rows, const Options& options,
                             float threshold) {
  EvaluationReport report{.dataset = std::filesystem::path(options.dataset).filename().string(),
                          .model = "guard-text",
                          .rows = rows.size(),
                          .resamples = options.resamples};
  report.parts.push_back(overall_part(rows, threshold, options.resamples));
  for (size_t hazard = 0; hazard < guard::kHazards; ++hazard) {
    EvaluationReport::Part part = hazard_part(rows, hazard, options.resamples);
    if (part.evaluation.positives > 0) report.parts.push_back(std::move(part));
  }
  std::map<std::string, EvaluationReport::Source> sources;
  for (const JudgedRow& row : rows) {
    EvaluationReport::Source& source = sources[row.label.source];
    source.name = row.label.source;
    (row.label.unsafe ? source.unsafe : source.safe) += 1;
    if (row.unsafe) (row.label.unsafe ? source.hits : source.false_alarms) += 1;
  }
  for (auto& [_, source] : sources) report.sources.push_back(std::move(source));
  return report;
}

Status run(const Options& options) {
  const Result<guard::TextCascade> cascade = open_text_guard(options.lists);
  if (!cascade) return cascade.error();
  const float threshold = options.threshold.value_or(cascade->threshold());
  const Result<std::vector<JudgedRow>> rows = judge_dataset(*cascade, options, threshold);
  if (!rows) return rows.error();
  const EvaluationReport report = make_report(*rows, options, threshold);
  if (!options.json.empty()) {
    const std::string text = boost::json::serialize(guard::to_json(report)) + "\n";
    if (Status written = write_file_atomically(options.json, text); !written) return written;
  }
  if (!options.html.empty()) {
    if (Status written = write_file_atomically(options.html, guard::to_html(report)); !written)
      return written;
  }
  return print_out(guard::to_text(report));
}

}  // namespace

Verb add_guard(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand("guard", "Measure the guard's classifiers");
  command->require_subcommand(1);
  CLI::App* eval = command->add_subcommand(
      "eval", "Precision, recall, false positives, AUPRC and calibration on labelled texts");
  eval->add_option("DATASET", options->dataset,
                   "A file of JSON objects, one a line: text, unsafe, and where known categories "
                   "(S1 to S14), unknown and source")
      ->required()
      ->type_name("FILE");
  eval->add_option("--json", options->json, "Write the numbers as JSON")->type_name("FILE");
  eval->add_option("--html", options->html, "Write a page with tables and plots")
      ->type_name("FILE");
  eval->add_option("--lists", options->lists, "A folder of word lists of your own")
      ->type_name("FOLDER");
  eval->add_option("--threshold", options->threshold,
                   "The score from which on a text is unsafe, instead of the classifier's own")
      ->check(CLI::Range(0.0, 1.0));
  eval->add_option("--resamples", options->resamples, "Bootstrap draws for the intervals")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  eval->add_flag("--quiet", options->quiet, "Show no progress");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
