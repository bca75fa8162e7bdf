#include "app/text_guard.h"

#include <fmt/format.h>

#include "app/paths.h"

namespace safelight::app {

Result<guard::TextCascade> open_text_guard(const std::filesystem::path& own_lists) {
  const auto models = shipped_models(executable_path());
  if (!models) {
    return Error{ErrorCode::kNotFound,
                 "the guard's text classifier, which comes with the program, is missing; install "
                 "the program whole"};
  }
  return guard::TextCascade::open(*models / "guard-text", own_lists);
}

Result<bool> LineReader::next(std::string& line) {
  line.clear();
  std::streambuf* buffer = stream_.rdbuf();
  constexpr auto kEnd = std::char_traits<char>::eof();
  for (auto got = buffer->sbumpc(); got != kEnd; got = buffer->sbumpc()) {
    ++bytes_;
    const char c = std::char_traits<char>::to_char_type(got);
    if (c == '\n') {
      ++number_;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return true;
    }
    if (line.size() == kMaxLineBytes) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: line {} is longer than {} bytes; a text is one line", name_,
                               number_ + 1, kMaxLineBytes)};
    }
    line += c;
  }
  if (line.empty()) return false;
  ++number_;
  return true;
}

}  // namespace safelight::app
