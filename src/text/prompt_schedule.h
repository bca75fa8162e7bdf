#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safelight::text {

/// Until the end of step `end_step`, counted from 1, the prompt is `text`.
struct ScheduledText {
  int64_t end_step;
  std::string text;
  bool operator==(const ScheduledText&) const = default;
};

/// The steps that "[from:to:when]" counts.
struct ScheduleSteps {
  int64_t steps = 20;
  /// Steps of the first pass where the schedule is of a second one (hires): integers go on counting
  /// there, and fractions are from 1 to 2.
  std::optional<int64_t> first_pass;
};

/// A prompt whose text changes from step to step, as SD WebUI 1.10 reads it
/// (modules/prompt_parser.py, get_learned_conditioning_prompt_schedules): [from:to:when],
/// [to:when], [from::when], [a|b|c] with a text a step, nested in any way. `when` is a step, or
/// with a '.' in it a fraction of the steps. As there, a prompt that the grammar cannot read (a '|'
/// outside of "[a|b]", a backslash at its end, brackets more than 256 deep) is text as it is.
///
/// That grammar is ambiguous where brackets stand around or behind a schedule that open or close
/// none ("[a:b:3]]"), and SD WebUI then takes one of its readings at random; here what can be read
/// as a schedule is one always.
class PromptSchedule {
 public:
  /// Linear in the prompt's length.
  explicit PromptSchedule(std::string_view prompt);

  /// Whether the text ever changes.
  bool changes() const { return has_alternation_ || !switches_.empty(); }
  /// The steps, from 1, after which the text may change, in order; the last is the last step.
  std::vector<int64_t> ends(const ScheduleSteps& steps) const;
  /// The text of step `step`, from 1. Linear in the prompt's length.
  std::string text(int64_t step, const ScheduleSteps& steps) const;

 private:
  friend class ScheduleParser;

  enum class Kind { kText, kGroup, kSwitch, kAlternate };
  using Sequence = std::vector<uint32_t>;  ///< numbers of nodes
  struct Node {
    Kind kind = Kind::kText;
    size_t begin = 0, end = 0;  ///< kText: bytes of the prompt
    std::vector<Sequence> parts =
        {};             ///< kGroup: one; kSwitch: before, after; kAlternate: two or more
    uint32_t when = 0;  ///< kSwitch: number in switches_
  };
  /// The `when` of a schedule.
  struct When {
    double value;
    bool is_fraction;
    int64_t step(const ScheduleSteps& steps) const;
  };

  void append(std::string& out, const Sequence& sequence, int64_t step,
              const std::vector<int64_t>& whens) const;

  std::string prompt_;
  std::vector<Node> nodes_;
  Sequence root_;
  std::vector<When> switches_;
  bool has_alternation_ = false;
};

/// All of a schedule at once, for prompts that are short enough (PromptSchedule gives one text
/// after the other).
std::vector<ScheduledText> schedule_prompt(std::string_view prompt, const ScheduleSteps& steps);

/// Which text of a schedule the denoiser's evaluation `evaluation`, from 0, reads: the first whose
/// end it has not passed, and behind the last end the first one again. That is SD WebUI's count
/// (its reconstruct_cond_batch): a switch at step 3 comes in the fifth evaluation.
size_t schedule_entry(const std::vector<int64_t>& ends, int64_t evaluation);

}  // namespace safelight::text
