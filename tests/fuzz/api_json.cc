// Fuzzes what the APIs make of a JSON body or message: whatever is accepted is a valid request, and
// is read as the same again from its own JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/native/submit_body.h"
#include "api/native/watch_message.h"
#include "api/openai/images_body.h"
#include "api/sdapi/txt2img.h"
#include "base/json.h"

namespace {

namespace api = safelight::api;
namespace json = boost::json;
namespace request = safelight::request;

void check(const request::Request& accepted) {
  if (!request::validate(accepted)) std::abort();
  const auto again = request::from_json(request::to_json(accepted));
  if (!again || !(*again == accepted)) std::abort();
}

void check_native(const json::value& body) {
  api::native::SubmitBody read;
  if (api::native::read_submit_body(body, read)) return;
  if (read.submissions.empty() || read.submissions.size() > api::native::kMaxBatch) std::abort();
  for (const api::Submission& submission : read.submissions) check(submission.request);
}

void check_openai(const json::value& body) {
  api::openai::ImagesBody read;
  if (api::openai::read_images_body(body, read)) return;
  if (read.partial_images < 0 || read.partial_images > 3) std::abort();
  check(read.submission.request);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto message = api::native::read_watch_message(text);
  if (message && message->jobs.size() > api::native::kMaxSubscriptions) std::abort();
  const auto body = safelight::parse_json(text);
  if (!body) return 0;
  check_native(*body);
  check_openai(*body);
  if (body->is_object()) (void)api::sdapi::check_absent_features(body->get_object());
  return 0;
}
