#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace safelight::app {

/// How far a request is.
struct ProgressState {
  int64_t picture = 1, pictures = 1;  ///< which batch of how many, from 1
  int64_t step = 0, steps = 0;        ///< steps done of this batch
  std::string_view unit = "step";     ///< what is counted
};

/// How progress reads after `seconds` of work, at most `width` columns wide: with a bar where there
/// is room for one, then step, speed and time to go over all batches.
std::string progress_text(const ProgressState& state, double seconds, int width);

/// Shows progress on a stream: one line that is redrawn on a terminal, a line now and then
/// elsewhere, nothing when quiet.
class Progress {
 public:
  enum class Style { kTerminal, kLines, kQuiet };

  Progress(std::FILE* stream, Style style) : stream_(stream), style_(style) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `now` is in seconds, from any clock that only goes forward. The first call comes before the
  /// first step: speed is measured from it.
  void update(const ProgressState& state, double now);

  /// Removes the terminal's line, so that what follows starts on a clean one.
  void finish();

 private:
  std::FILE* stream_;
  Style style_;
  double started_ = -1;     ///< when the first step began
  double last_line_ = -1;   ///< when kLines wrote last
  bool line_open_ = false;  ///< whether a redrawn line stands on the terminal
};

/// kTerminal when the stream is one, else kLines.
Progress::Style style_of(std::FILE* stream);

}  // namespace safelight::app
