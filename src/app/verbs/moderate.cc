#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/progress.h"
#include "app/text_guard.h"
#include "app/verbs/verbs.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "text/unicode.h"

namespace safelight::app {
namespace {

namespace json = boost::json;

struct Options {
  std::vector<std::string> texts, files;
  std::string format = "text", output, lists;
  std::optional<float> threshold;
  bool report_only = false, quiet = false;
};

/// One text, where it stood, and what was found.
struct Judgement {
  std::string source;
  size_t line = 0;
  std::string text;
  guard::TextFindings findings;
  bool unsafe = false;
};

/// The same text with U+FFFD for what is not UTF-8.
std::string valid_utf8(const std::string& text) {
  if (find_invalid_utf8(text) == std::string_view::npos) return text;
  std::string valid;
  for (const char32_t code : text::decode_utf8(text)) text::append_utf8(valid, code);
  return valid;
}

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string cell = "\"";
  for (const char c : text) {
    if (c == '"') cell += '"';
    cell += c;
  }
  return cell + '"';
}

/// "S12.en: porn; S4.en: loli"
std::string matches_text(const std::vector<guard::BlocklistMatch>& matches) {
  std::string text;
  for (const guard::BlocklistMatch& match : matches)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", match.list, match.phrase);
  return text;
}

std::string csv_head() {
  std::string head = "source,line,unsafe,score";
  for (const guard::Hazard& hazard : guard::hazards()) head += fmt::format(",{}", hazard.code);
  return head + ",lists,text\n";
}

std::string csv_row(const Judgement& judged) {
  std::string row = fmt::format("{},{},{},{:.4f}", csv_cell(judged.source), judged.line,
                                judged.unsafe, judged.findings.scores.unsafe);
  for (const float score : judged.findings.scores.hazards) row += fmt::format(",{:.4f}", score);
  return row + fmt::format(",{},{}\n", csv_cell(matches_text(judged.findings.matches)),
                           csv_cell(judged.text));
}

std::string json_row(const Judgement& judged) {
  json::object scores;
  for (size_t i = 0; i < guard::kHazards; ++i)
    scores[guard::hazards()[i].code] = judged.findings.scores.hazards[i];
  json::array matches;
  for (const guard::BlocklistMatch& match : judged.findings.matches) {
    matches.push_back(json::object{{"list", match.list},
                                   {"phrase", match.phrase},
                                   {"hazard", guard::hazards()[match.hazard].code},
                                   {"decides", match.decides}});
  }
  const json::object row = {{"source", judged.source},
                            {"line", judged.line},
                            {"text", judged.text},
                            {"unsafe", judged.unsafe},
                            {"score", judged.findings.scores.unsafe},
                            {"scores", std::move(scores)},
                            {"matches", std::move(matches)}};
  return json::serialize(row) + "\n";
}

/// For people: the verdict, the likeliest hazards, what lists found, and how the text begins.
std::string text_row(const Judgement& judged) {
  constexpr float kWorthTelling = 0.2F;
  constexpr size_t kShownBytes = 60;
  std::string row = fmt::format("{:6}  {:.2f} ", judged.unsafe ? "unsafe" : "safe",
                                judged.findings.scores.unsafe);
  for (size_t i = 0; i < guard::kHazards; ++i) {
    const float score = judged.findings.scores.hazards[i];
    if (score >= kWorthTelling) row += fmt::format(" {} {:.2f}", guard::hazards()[i].code, score);
  }
  if (!judged.findings.matches.empty())
    row += fmt::format("  [{}]", matches_text(judged.findings.matches));
  std::string shown(utf8_prefix(judged.text, kShownBytes));
  if (shown.size() < judged.text.size()) shown += "...";
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return row + "  " + shown + "\n";
}

/// Judges texts one after the other and writes what comes out.
class Moderation {
 public:
  Moderation(const guard::TextCascade& cascade, const Options& options)
      : cascade_(cascade),
        options_(options),
        threshold_(options.threshold.value_or(cascade.threshold())) {}

  Status begin() {
    if (!options_.output.empty()) {
      Result<AtomicFile> file = AtomicFile::create(options_.output);
      if (!file) return file.error();
      file_.emplace(std::move(*file));
    }
    return options_.format == "csv" ? write(csv_head()) : Status{};
  }

  Status judge(const std::string& source, size_t line, const std::string& text) {
    Judgement judged{.source = source, .line = line, .text = valid_utf8(text)};
    judged.findings = cascade_.judge(text);
    judged.unsafe = judged.findings.unsafe(threshold_);
    ++texts_;
    unsafe_ += judged.unsafe ? 1 : 0;
    return write(options_.format == "csv"     ? csv_row(judged)
                 : options_.format == "jsonl" ? json_row(judged)
                                              : text_row(judged));
  }

  /// Errors: kRefused when a text was unsafe, so that scripts see it in the exit status.
  Status end() {
    if (file_) {
      if (Status committed = file_->commit(); !committed) return committed;
    }
    if (unsafe_ == 0 || options_.report_only) return {};
    return Error{ErrorCode::kRefused, fmt::format("{} of {} texts {} unsafe", unsafe_, texts_,
                                                  unsafe_ == 1 ? "is" : "are")};
  }

 private:
  Status write(const std::string& row) { return file_ ? file_->write(row) : print_out(row); }

  const guard::TextCascade& cascade_;
  const Options& options_;
  float threshold_;
  std::optional<AtomicFile> file_;
  size_t texts_ = 0, unsafe_ = 0;
};

/// The text of a line: in .jsonl files its field `text`.
Result<std::string> text_of(const std::string& line, bool is_json) {
  if (!is_json) return line;
  const Result<json::value> parsed = parse_json(line);
  if (!parsed) return parsed.error();
  const json::value* text = parsed->is_object() ? parsed->as_object().if_contains("text") : nullptr;
  if (text != nullptr && text->is_string()) return std::string(text->as_string());
  return Error{ErrorCode::kInvalidArgument, "a JSON object with a string 'text' was expected"};
}

Status judge_lines(Moderation& moderation, LineReader& lines, bool is_json, uint64_t size,
                   Progress& progress) {
  using Clock = std::chrono::steady_clock;
  constexpr size_t kLinesBetweenUpdates = 256;
  const auto begin = Clock::now();
  std::string line;
  while (true) {
    const Result<bool> more = lines.next(line);
    if (!more) return more.error();
    if (!*more) return {};
    if (trimmed(line).empty()) continue;
    const Result<std::string> text = text_of(line, is_json);
    if (!text) return text.error().in(fmt::format("{}, line {}", lines.name(), lines.number()));
    if (Status judged = moderation.judge(lines.name(), lines.number(), *text); !judged)
      return judged;
    if (size == 0 || lines.number() % kLinesBetweenUpdates != 0) continue;
    progress.update({.step = static_cast<int64_t>(lines.bytes_read() >> 10),
                     .steps = static_cast<int64_t>(size >> 10),
                     .unit = "KiB"},
                    std::chrono::duration<double>(Clock::now() - begin).count());
  }
}

Status judge_file(Moderation& moderation, const std::string& file, bool quiet) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure)) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: there is no such file; '-' is standard input", file)};
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return Error{ErrorCode::kIo, fmt::format("cannot read {}", file)};
  const uint64_t size = std::filesystem::file_size(file, failure);
  Progress progress(stderr, quiet ? Progress::Style::kQuiet : style_of(stderr));
  LineReader lines(stream, file);
  return judge_lines(moderation, lines, file.ends_with(".jsonl"), failure ? 0 : size, progress);
}

Status run(const Options& options) {
  const Result<guard::TextCascade> cascade = open_text_guard(options.lists);
  if (!cascade) return cascade.error();
  Moderation moderation(*cascade, options);
  if (Status begun = moderation.begin(); !begun) return begun;
  for (size_t i = 0; i < options.texts.size(); ++i) {
    if (Status judged = moderation.judge("argument", i + 1, options.texts[i]); !judged)
      return judged;
  }
  // A bar would be drawn between the rows of a terminal.
  const bool quiet = options.quiet || (options.output.empty() && ::isatty(STDOUT_FILENO) != 0);
  std::vector<std::string> files = options.files;
  if (options.texts.empty() && files.empty()) files.emplace_back("-");
  for (const std::string& file : files) {
    Status judged;
    if (file == "-") {
      LineReader lines(std::cin, "stdin");
      Progress none(stderr, Progress::Style::kQuiet);
      judged = judge_lines(moderation, lines, false, 0, none);
    } else {
      judged = judge_file(moderation, file, quiet);
    }
    if (!judged) return judged;
  }
  return moderation.end();
}

}  // namespace

Verb add_moderate(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command = root.add_subcommand(
      "moderate", "Judge texts with the guard's classifier; ends with 8 when one is unsafe");
  command->add_option("TEXT", options->texts,
                      "Texts; without any and without --file, the lines of standard input");
  command
      ->add_option("--file", options->files,
                   "Judge each line of a file; in .jsonl files, its field 'text'; '-' is "
                   "standard input")
      ->type_name("FILE");
  command->add_option("--format", options->format, "What is written: text, csv or jsonl")
      ->check(CLI::IsMember({"text", "csv", "jsonl"}))
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "Write to a file instead")->type_name("FILE");
  command
      ->add_option("--lists", options->lists,
                   "A folder of word lists of your own, named as S10.mine.txt; each match is "
                   "unsafe")
      ->type_name("FOLDER");
  command
      ->add_option("--threshold", options->threshold,
                   "The score from which on a text is unsafe, instead of the classifier's own")
      ->check(CLI::Range(0.0, 1.0));
  command->add_flag("--report-only", options->report_only, "End with 0 whatever is found");
  command->add_flag("--quiet", options->quiet, "Show no progress");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
