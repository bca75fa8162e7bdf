#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "bench/sd/scaling.h"

namespace safelight::bench {
namespace {

constexpr double kWidth = 960, kHeight = 330;
constexpr double kTop = 78, kBottom = 290;  // of each panel's plot
constexpr const char* kStepColour = "#1f6fb4";
constexpr const char* kDecodeColour = "#d9662c";
constexpr const char* kGrey = "#8a8a8a";

class Svg {
 public:
  void text(double x, double y, const std::string& words, const char* anchor = "middle",
            int size = 12) {
    body_ += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}">{}</text>)"
                         "\n",
                         x, y, anchor, size, words);
  }
  void line(double x1, double y1, double x2, double y2, const char* colour, bool dashed = false) {
    body_ += fmt::format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"{}/>)"
                         "\n",
                         x1, y1, x2, y2, colour, dashed ? R"( stroke-dasharray="5 4")" : "");
  }
  void dot(double x, double y, const char* colour) {
    body_ += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"/>)"
                         "\n",
                         x, y, colour);
  }
  void bar(double x, double width, double top, double bottom, const char* colour) {
    body_ += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>)"
                         "\n",
                         x, top, width, bottom - top, colour);
  }
  std::string finish() const {
    return fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0:.0f} {1:.0f}" )"
                       R"(width="{0:.0f}" height="{1:.0f}" font-family="sans-serif" fill="#222">)"
                       "\n"
                       R"(<rect width="{0:.0f}" height="{1:.0f}" fill="#fff"/>)"
                       "\n",
                       kWidth, kHeight) +
           body_ + "</svg>\n";
  }

 private:
  std::string body_;
};

/// Seconds by size, both logarithmic; the dashed lines grow as the operations do.
void draw_sizes(Svg& svg, const Scaling& scaling) {
  constexpr double kLeft = 60, kRight = 400;
  svg.text((kLeft + kRight) / 2, kTop - 18, "Seconds by size, one picture", "middle", 14);
  const auto& points = scaling.sizes;
  const auto x_of = [&](const ScalingPoint& p) {
    const double first = std::log2(static_cast<double>(points.front().workload.width)),
                 last = std::log2(static_cast<double>(points.back().workload.width));
    return kLeft + 20 +
           (std::log2(static_cast<double>(p.workload.width)) - first) / (last - first) *
               (kRight - kLeft - 40);
  };
  double least = 1e9, most = 0;
  for (const ScalingPoint& p : points) {
    least = std::min({least, p.step.median(), p.decode.median()});
    most = std::max({most, p.step.median(), p.decode.median()});
  }
  const double low = std::floor(std::log10(least) * 2) / 2, high = std::log10(most) + 0.1;
  const auto y_of = [&](double seconds) {
    return kBottom - (std::log10(seconds) - low) / (high - low) * (kBottom - kTop);
  };
  for (const double tick : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0}) {
    if (std::log10(tick) < low || std::log10(tick) > high) continue;
    svg.line(kLeft, y_of(tick), kRight, y_of(tick), "#e4e4e4");
    svg.text(kLeft - 6, y_of(tick) + 4, fmt::format("{:g}", tick), "end");
  }
  for (const auto& [part, name, colour] :
       {std::tuple{&ScalingPoint::step, "step", kStepColour},
        std::tuple{&ScalingPoint::decode, "decode", kDecodeColour}}) {
    const Timing& usual = scaling.usual().*part;
    const auto expected = [&, part = part](const ScalingPoint& p) {
      return usual.median() * (p.*part).flops / usual.flops;
    };
    for (size_t i = 0; i < points.size(); ++i) {
      const ScalingPoint& p = points[i];
      svg.dot(x_of(p), y_of((p.*part).median()), colour);
      if (i == 0) continue;
      svg.line(x_of(points[i - 1]), y_of(expected(points[i - 1])), x_of(p), y_of(expected(p)),
               colour, true);
    }
  }
  for (const ScalingPoint& p : points)
    svg.text(x_of(p), kBottom + 18, fmt::format("{0}x{0}", p.workload.width), "middle", 11);
  svg.dot(kLeft + 14, kTop + 8, kStepColour);
  svg.text(kLeft + 24, kTop + 12, "step", "start");
  svg.dot(kLeft + 14, kTop + 26, kDecodeColour);
  svg.text(kLeft + 24, kTop + 30, "decode", "start");
  svg.text(kLeft + 24, kTop + 48, "dashed: as the operations grow", "start", 11);
}

struct Bar {
  std::string name;
  double value;
  const char* colour;
};

void draw_bars(Svg& svg, double left, double right, const std::string& title,
               const std::vector<Bar>& bars) {
  svg.text((left + right) / 2, kTop - 18, title, "middle", 14);
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.value);
  const double slot = (right - left) / static_cast<double>(bars.size());
  for (size_t i = 0; i < bars.size(); ++i) {
    const double x = left + slot * static_cast<double>(i);
    const double top = kBottom - bars[i].value / most * (kBottom - kTop - 20);
    svg.bar(x + slot * 0.2, slot * 0.6, top, kBottom, bars[i].colour);
    svg.text(x + slot / 2, top - 5, fmt::format("{:.2f}", bars[i].value));
    svg.text(x + slot / 2, kBottom + 18, bars[i].name, "middle", 11);
  }
  svg.line(left, kBottom, right, kBottom, kGrey);
}

}  // namespace

std::string to_svg(const Scaling& scaling, bool bf16, const std::string& title) {
  Svg svg;
  svg.text(kWidth / 2, 26, title, "middle", 15);
  draw_sizes(svg, scaling);
  std::vector<Bar> batches;
  for (const ScalingPoint& p : scaling.batches) {
    batches.push_back({fmt::format("batch {}", p.workload.batch),
                       p.step.median() / static_cast<double>(p.workload.batch), kStepColour});
  }
  draw_bars(svg, 440, 670, "Seconds a step and picture", batches);
  draw_bars(svg, 710, 940, fmt::format("Speed of {} threads to one", scaling.threads),
            {{"register peak", scaling.peak_speedup(bf16), kGrey},
             {"step", scaling.step_speedup(), kStepColour},
             {"decode", scaling.decode_speedup(), kDecodeColour}});
  return svg.finish();
}

}  // namespace safelight::bench
