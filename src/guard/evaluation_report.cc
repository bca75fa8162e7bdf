#include "guard/evaluation_report.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <cmath>

namespace safelight::guard {
namespace {

namespace json = boost::json;
using Part = EvaluationReport::Part;

json::value number(double value) {
  return std::isnan(value) ? json::value(nullptr) : json::value(value);
}

json::object estimate_json(const Estimate& estimate) {
  return {{"value", number(estimate.value)},
          {"low", number(estimate.low)},
          {"high", number(estimate.high)}};
}

json::array curve_json(const std::vector<Evaluation::Point>& curve) {
  json::array points;
  for (const auto& point : curve) points.push_back(json::array{point.x, point.y});
  return points;
}

json::object part_json(const Part& part) {
  const Evaluation& e = part.evaluation;
  json::array bins;
  for (const Evaluation::Bin& bin : e.bins) {
    bins.push_back(json::object{{"rows", bin.rows},
                                {"mean_score", bin.mean_score},
                                {"share_positive", bin.share_positive}});
  }
  return {{"name", part.name},
          {"title", part.title},
          {"positives", e.positives},
          {"negatives", e.negatives},
          {"threshold", e.threshold},
          {"precision", estimate_json(e.precision)},
          {"recall", estimate_json(e.recall)},
          {"f1", estimate_json(e.f1)},
          {"false_positive_rate", estimate_json(e.false_positive_rate)},
          {"auprc", estimate_json(e.average_precision)},
          {"auroc", estimate_json(e.roc_area)},
          {"calibration_error", e.calibration_error},
          {"judged_unsafe", number(part.judged_unsafe)},
          {"roc", curve_json(e.roc)},
          {"precision_recall", curve_json(e.precision_recall)},
          {"bins", std::move(bins)}};
}

std::string cell(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3f}", value); }

std::string cell(const Estimate& estimate) {
  if (std::isnan(estimate.value)) return "-";
  return fmt::format("{:.3f} ({:.3f} to {:.3f})", estimate.value, estimate.low, estimate.high);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr int kSide = 220, kMargin = 40;

/// The place on the canvas of a point of the unit square.
Evaluation::Point on_canvas(const Evaluation::Point& point) {
  return {kMargin + point.x * kSide, kMargin / 2.0 + (1 - point.y) * kSide};
}

/// A plot of the unit square: a curve, or with `dots` its points too; the diagonal is what a
/// constant score (ROC) or a calibrated one (reliability) gives.
std::string plot(std::string_view title, std::string_view x_axis, std::string_view y_axis,
                 const std::vector<Evaluation::Point>& curve, bool diagonal, bool dots) {
  std::string svg = fmt::format(
      "<figure><svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
      "aria-label=\"{2}\">",
      kSide + 3 * kMargin / 2, kSide + 3 * kMargin / 2, escaped(title));
  for (int i = 0; i <= 4; ++i) {
    const double share = i / 4.0;
    const auto across = on_canvas({share, 0}), up = on_canvas({0, share});
    svg += fmt::format("<path class=\"grid\" d=\"M{:.1f} {} v-{} M{} {:.1f} h{}\"/>", across.x,
                       kMargin / 2 + kSide, kSide, kMargin, up.y, kSide);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", across.x,
                       kMargin / 2 + kSide + 14, share);
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kMargin - 5,
                       up.y + 4, share);
  }
  if (diagonal) {
    const auto from = on_canvas({0, 0}), to = on_canvas({1, 1});
    svg += fmt::format("<path class=\"chance\" d=\"M{} {} L{} {}\"/>", from.x, from.y, to.x, to.y);
  }
  std::string points, marks;
  for (const auto& point : curve) {
    const auto at = on_canvas(point);
    points += fmt::format("{:.1f},{:.1f} ", at.x, at.y);
    if (dots) marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", at.x, at.y);
  }
  svg += fmt::format("<polyline points=\"{}\"/>{}", points, marks);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                     kMargin + kSide / 2, kMargin / 2 + kSide + 30, escaped(x_axis));
  svg += fmt::format(
      "<text x=\"10\" y=\"{0}\" text-anchor=\"middle\" transform=\"rotate(-90 10 {0})\">{1}</text>",
      kMargin / 2 + kSide / 2, escaped(y_axis));
  return svg + fmt::format("</svg><figcaption>{}</figcaption></figure>", escaped(title));
}

std::string plots(const Part& part) {
  std::vector<Evaluation::Point> reliability;
  for (const Evaluation::Bin& bin : part.evaluation.bins) {
    if (bin.rows > 0) reliability.push_back({bin.mean_score, bin.share_positive});
  }
  const std::string heading =
      fmt::format("<h2>{}: {}</h2><div class=\"plots\">", escaped(part.name), escaped(part.title));
  return heading +
         plot("Precision and recall", "recall", "precision", part.evaluation.precision_recall,
              false, false) +
         plot("ROC", "false positive rate", "recall", part.evaluation.roc, true, false) +
         plot("Calibration", "mean score", "share that is positive", reliability, true, true) +
         "</div>";
}

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Guard: evaluation</title><style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } .plots { display: flex; flex-wrap: wrap } figure { margin: 0 1em 1em 0 }
figcaption { text-align: center } svg text { font-size: 10px; fill: #444 } .grid { stroke: #eee } .chance { stroke: #aaa; stroke-dasharray: 4 }
polyline { fill: none; stroke: #06c; stroke-width: 2 } circle { fill: #06c }
</style></head><body><h1>Guard: evaluation</h1>
)";

}  // namespace

boost::json::object to_json(const EvaluationReport& report) {
  json::array parts, sources;
  for (const Part& part : report.parts) parts.push_back(part_json(part));
  for (const auto& source : report.sources) {
    sources.push_back(json::object{{"name", source.name},
                                   {"safe", source.safe},
                                   {"unsafe", source.unsafe},
                                   {"false_alarms", source.false_alarms},
                                   {"hits", source.hits}});
  }
  return {{"dataset", report.dataset}, {"model", report.model},
          {"rows", report.rows},       {"resamples", report.resamples},
          {"parts", std::move(parts)}, {"sources", std::move(sources)}};
}

std::string to_text(const EvaluationReport& report) {
  std::string text =
      fmt::format("{:8} {:>6} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}\n", "", "rows", "precision",
                  "recall", "F1", "FPR", "AUPRC", "AUROC", "ECE");
  for (const Part& part : report.parts) {
    const Evaluation& e = part.evaluation;
    text +=
        fmt::format("{:8} {:>6} {:>9} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}\n", part.name,
                    e.positives, cell(e.precision.value), cell(e.recall.value), cell(e.f1.value),
                    cell(e.false_positive_rate.value), cell(e.average_precision.value),
                    cell(e.roc_area.value), cell(e.calibration_error));
  }
  return text;
}

std::string to_html(const EvaluationReport& report) {
  std::string html(kHead);
  html += fmt::format(
      "<p>{}: {} rows, judged by {}. Intervals: 95 %, from {} resamples. \"Judged unsafe\": the "
      "share of a hazard's rows that are unsafe over all.</p>",
      escaped(report.dataset), report.rows, escaped(report.model), report.resamples);
  html +=
      "<table><tr><th>label</th><th>positive</th><th>negative</th><th>threshold</th>"
      "<th>precision</th><th>recall</th><th>F1</th><th>false positive rate</th><th>AUPRC</th>"
      "<th>AUROC</th><th>calibration error</th><th>judged unsafe</th></tr>";
  for (const Part& part : report.parts) {
    const Evaluation& e = part.evaluation;
    html +=
        fmt::format("<tr><td>{} {}</td><td>{}</td><td>{}</td><td>{:.3f}</td>", escaped(part.name),
                    escaped(part.title), e.positives, e.negatives, e.threshold);
    for (const Estimate* estimate : {&e.precision, &e.recall, &e.f1, &e.false_positive_rate,
                                     &e.average_precision, &e.roc_area})
      html += fmt::format("<td>{}</td>", cell(*estimate));
    html += fmt::format("<td>{}</td><td>{}</td></tr>", cell(e.calibration_error),
                        cell(part.judged_unsafe));
  }
  html +=
      "</table><table><tr><th>source</th><th>safe</th><th>false alarms</th><th>unsafe</th>"
      "<th>found</th></tr>";
  for (const auto& source : report.sources) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                        escaped(source.name), source.safe, source.false_alarms, source.unsafe,
                        source.hits);
  }
  html += "</table>";
  for (const Part& part : report.parts) html += plots(part);
  return html + "</body></html>\n";
}

}  // namespace safelight::guard
