#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace safelight::http {

/// Why a request cannot be read, and the status to answer with.
struct Fault {
  int status = 400;
  Error error;
};

/// A request without its body.
struct RequestHead {
  std::string method, target;
  bool http_1_0 = false;
  std::vector<std::pair<std::string, std::string>> fields;  ///< one of a name; see field()
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = false;

  /// The value of a header field, whatever the case of its name; several of one name are joined
  /// with ", ". Empty when absent.
  std::string_view field(std::string_view name) const;
  /// Whether a field that is a list of words has this one (lower case).
  bool has_word(std::string_view name, std::string_view word) const;
  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

/// Reads one HTTP/1 request from bytes that come in any pieces. Strict where servers and proxies
/// could disagree on where a request ends: one Content-Length or one "chunked", never both; lines
/// end with CR LF.
class RequestParser {
 public:
  explicit RequestParser(size_t max_head_bytes);
  ~RequestParser();

  struct Step {
    size_t used = 0;  ///< bytes that are done with
    bool complete = false;
    std::optional<Fault> fault;
  };
  /// `received`: all bytes since the request's beginning; they are used when the head is complete.
  Step read_head(std::string_view received);
  /// `received`: the bytes behind those used so far. Faults: 413 beyond `max_body`, 400.
  Step read_body(std::string_view received, size_t max_body);

  RequestHead& head();
  std::string& body();

 private:
  class Parser;
  Step parse_head(std::string_view received, size_t begin, size_t end);

  size_t max_head_;
  size_t scanned_ = 0;  ///< where the first line begins that is not known to be whole
  std::unique_ptr<Parser> parser_;
};

}  // namespace safelight::http
