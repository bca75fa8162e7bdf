// Fuzzes what a client's bytes go through before a handler: parser, target, router. However the
// bytes are cut into pieces, the same requests come out.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/exchange.h"
#include "http/request_parser.h"
#include "http/target.h"

namespace {

using namespace safelight::http;

constexpr size_t kMaxHead = 2048, kMaxBody = 4096;

const Router& router() {
  static const Router made = [] {
    Router routes;
    const Handler none;
    routes.get("/", {}, none);
    routes.get("/jobs/{id}", {}, none);
    routes.remove("/jobs/{id}", {}, none);
    routes.get("/jobs/{id}/results/{index}", {}, none);
    routes.post("/sdapi/v1/txt2img", {}, none);
    routes.get("/files/{name*}", {}, none);
    return routes;
  }();
  return made;
}

void check(bool sound) {
  if (!sound) std::abort();
}

/// No parameter of a route can lead out of a folder.
void check_target(const RequestHead& head) {
  const auto target = parse_target(head.target);
  if (!target) return;
  const Router::Match match = router().find(head.method, target->path);
  for (const auto& [name, value] : match.params) {
    check(value.find('\0') == std::string::npos && value.find('\\') == std::string::npos);
    for (size_t begin = 0; begin <= value.size();) {
      const size_t end = std::min(value.find('/', begin), value.size());
      const std::string segment = value.substr(begin, end - begin);
      check(segment != "." && segment != "..");
      begin = end + 1;
    }
    check(name == "name" || value.find('/') == std::string::npos);
  }
}

/// A line for each request of the bytes, and one for the fault that ends them.
std::string requests(std::string_view bytes, size_t piece) {
  std::string text, pending;
  RequestParser parser(kMaxHead);
  bool in_body = false;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    pending += bytes.substr(at, piece);
    for (;;) {
      const auto step = in_body ? parser.read_body(pending, kMaxBody) : parser.read_head(pending);
      if (step.fault) return text + "fault " + std::to_string(step.fault->status);
      check(step.used <= pending.size());
      pending.erase(0, step.used);
      if (!step.complete) break;
      RequestHead& head = parser.head();
      if (!in_body) {
        check(!(head.chunked && head.content_length));
        check_target(head);
        in_body = head.has_body();
        if (in_body) continue;
      }
      check(parser.body().size() <= kMaxBody);
      text += head.method + " " + head.target + " " + parser.body() + "\n";
      return text;
    }
  }
  return text + "more";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Beyond, the limit on what waits unparsed is met in pieces only.
  if (size > 8192) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = requests(bytes, std::max<size_t>(size, 1));
  // Faults may be noticed sooner in small pieces; what is understood must be the same.
  const std::string cut = requests(bytes, 7);
  const auto is_request = [](const std::string& text) {
    return text.find('\n') != std::string::npos;
  };
  if (is_request(whole) && is_request(cut)) check(whole == cut);
  check(is_request(whole) == is_request(cut));
  return 0;
}
