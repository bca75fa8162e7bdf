#include "app/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace safelight::app {
namespace {

constexpr double kSecondsBetweenLines = 5;
constexpr int kDefaultWidth = 80;

int64_t steps_done(const ProgressState& state) {
  return (state.picture - 1) * state.steps + state.step;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  constexpr int64_t kMinute = 60, kHour = 3600;
  if (whole >= kHour)
    return fmt::format("{}:{:02}:{:02}", whole / kHour, whole / kMinute % kMinute, whole % kMinute);
  return fmt::format("{}:{:02}", whole / kMinute, whole % kMinute);
}

/// "3.20 it/s", or "4.10 s/it" when a step takes longer than a second.
std::string speed_text(double per_second, std::string_view unit) {
  if (unit != "step") return fmt::format("{:.1f} {}/s", per_second, unit);
  return per_second >= 1 ? fmt::format("{:.2f} it/s", per_second)
                         : fmt::format("{:.2f} s/it", 1 / per_second);
}

std::string bar(double fraction, int cells) {
  const auto full = static_cast<int>(std::lround(fraction * cells));
  std::string text = "[";
  for (int i = 0; i < cells; ++i) text += i < full ? '#' : '.';
  return text + "]";
}

int terminal_width(std::FILE* stream) {
  struct winsize size {};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultWidth;
  return size.ws_col;
}

}  // namespace

std::string progress_text(const ProgressState& state, double seconds, int width) {
  std::string text;
  if (state.pictures > 1) text += fmt::format("batch {}/{}  ", state.picture, state.pictures);
  text += fmt::format("{} {}/{}", state.unit, state.step, state.steps);
  const int64_t done = steps_done(state), total = state.pictures * state.steps;
  if (done > 0 && seconds > 0) {
    const double per_second = static_cast<double>(done) / seconds;
    text += fmt::format("  {}  ETA {}", speed_text(per_second, state.unit),
                        duration_text(static_cast<double>(total - done) / per_second));
  }
  constexpr int kMaxCells = 30, kMinCells = 8;
  const int room = width - 1 - static_cast<int>(text.size()) - 4;
  if (total <= 0 || room < kMinCells) return text;
  return bar(static_cast<double>(done) / static_cast<double>(total), std::min(room, kMaxCells)) +
         "  " + text;
}

void Progress::update(const ProgressState& state, double now) {
  if (style_ == Style::kQuiet) return;
  if (started_ < 0) started_ = last_line_ = now;
  const double spent = now - started_;
  if (style_ == Style::kTerminal) {
    // \r and "erase to the end of the line" redraw in place.
    fmt::print(stream_, "\r{}\x1b[K", progress_text(state, spent, terminal_width(stream_)));
    std::fflush(stream_);
    line_open_ = true;
    return;
  }
  const bool last = state.step == state.steps && state.picture == state.pictures;
  if (!last && now - last_line_ < kSecondsBetweenLines) return;
  last_line_ = now;
  fmt::print(stream_, "{}\n", progress_text(state, spent, 0));
  std::fflush(stream_);
}

void Progress::finish() {
  if (!line_open_) return;
  fmt::print(stream_, "\r\x1b[K");
  std::fflush(stream_);
  line_open_ = false;
}

Progress::Style style_of(std::FILE* stream) {
  return ::isatty(::fileno(stream)) != 0 ? Progress::Style::kTerminal : Progress::Style::kLines;
}

}  // namespace safelight::app
