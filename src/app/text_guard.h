#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <string>

#include "base/result.h"
#include "guard/text_cascade.h"

namespace safelight::app {

/// The text cascade that comes with the program, with the operator's word lists of a folder unless
/// that is empty. Errors: kNotFound without it; those of TextCascade::open.
Result<guard::TextCascade> open_text_guard(const std::filesystem::path& own_lists);

/// The lines of a stream, as long as it lasts: nothing is held but the line.
class LineReader {
 public:
  static constexpr size_t kMaxLineBytes = size_t{1} << 20;

  /// `name` stands before each message.
  LineReader(std::istream& stream, std::string name) : stream_(stream), name_(std::move(name)) {}

  /// Puts the next line, without its end, into `line`; false at the end. Errors: kInvalidArgument
  /// for a line of more than kMaxLineBytes; kIo.
  Result<bool> next(std::string& line);

  size_t number() const { return number_; }  ///< of the last line, from 1
  uint64_t bytes_read() const { return bytes_; }
  const std::string& name() const { return name_; }

 private:
  std::istream& stream_;
  std::string name_;
  size_t number_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace safelight::app
