#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>

#include "api/sdapi/lists.h"
#include "base/log.h"
#include "base/text.h"
#include "http/routes/sdapi_parts.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace sdapi = api::sdapi;

constexpr size_t kLogLines = 100;
constexpr size_t kMaxMessage = 1000;
constexpr std::array<std::string_view, 5> kSecretWords = {"auth", "password", "secret", "token",
                                                          "key"};

/// The flags that the server was started with, as SD WebUI names them: "--data-dir" is "data_dir".
/// Whoever collected them leaves secrets out; names that look like one are left out here too.
json::object flags(const api::ServerFacts& facts) {
  json::object object;
  for (const auto& [name, value] : facts.flags) {
    std::string key = name.substr(std::min(name.find_first_not_of('-'), name.size()));
    std::replace(key.begin(), key.end(), '-', '_');
    const bool secret = std::any_of(kSecretWords.begin(), kSecretWords.end(), [&](auto word) {
      return ascii_lower(key).find(word) != std::string::npos;
    });
    if (!secret) object[key] = value;
  }
  return object;
}

json::array log_lines(const Exchange& exchange) {
  const std::string wanted = exchange.query("lines").value_or("");
  size_t most = kLogLines;
  std::from_chars(wanted.data(), wanted.data() + wanted.size(), most);
  json::array lines;
  for (const std::string& line : recent_log_lines(most)) lines.emplace_back(line);
  return lines;
}

/// A client's own line for the log, on one line.
Result<json::value> write_log(const Exchange& exchange) {
  const Result<json::object> body = sdapi_body(exchange);
  if (!body) return body.error();
  const json::value* message = body->if_contains("message");
  if (message == nullptr || !message->is_string()) {
    return Error{ErrorCode::kInvalidArgument, "message must be a text"};
  }
  std::string text(utf8_prefix(std::string_view(message->get_string()), kMaxMessage));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  spdlog::info("client {}: {}", exchange.principal().name, text);
  return json::value(json::object());
}

json::object queue_status(api::Backend& backend, const Exchange& exchange) {
  const auto activity = backend.jobs.hub().activity(exchange.principal().name);
  return {{"msg", "estimation"},
          {"rank", nullptr},
          {"queue_size", activity.queued + activity.running.size()}};
}

void add_facts(Router& router, api::Backend& backend) {
  const auto look = [](std::string_view operation) {
    return sdapi_options(Access::kViewer, operation);
  };
  router.get(
      "/sdapi/v1/version", look("sdapi_version"), sdapi_at_once([&](Exchange&) {
        return json::value(json::object{{"app", "Safelight"}, {"version", backend.facts.version}});
      }));
  router.get("/sdapi/v1/platform", look("sdapi_platform"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::platform(backend.facts, backend.workers));
             }));
  router.get("/sdapi/v1/memory", look("sdapi_memory"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::memory(backend.workers));
             }));
  router.get("/sdapi/v1/cmd-flags", look("sdapi_cmd_flags"),
             sdapi_at_once([&](Exchange&) { return json::value(flags(backend.facts)); }));
  router.get("/sdapi/v1/motd", look("sdapi_motd"),
             sdapi_at_once([](Exchange&) { return json::value(""); }));
  router.get("/sdapi/v1/start", look("sdapi_start"),
             sdapi_at_once([](Exchange&) { return json::value(json::object()); }));
  // What clients of Gradio ask first.
  router.get("/user", look("gradio_user"), sdapi_at_once([](Exchange& exchange) {
               return json::value(exchange.principal().name);
             }));
  router.get("/app_id", look("gradio_app_id"), sdapi_at_once([&](Exchange&) {
               return json::value(json::object{{"app_id", backend.facts.started}});
             }));
  router.get("/queue/status", look("gradio_queue_status"), sdapi_at_once([&](Exchange& exchange) {
               return json::value(queue_status(backend, exchange));
             }));
}

}  // namespace

void add_sdapi_server(Router& router, api::Backend& backend) {
  add_facts(router, backend);
  // Other people's prompts may stand in the log.
  router.get("/sdapi/v1/log", sdapi_options(Access::kAdmin, "sdapi_log"),
             sdapi_at_once([](Exchange& exchange) { return json::value(log_lines(exchange)); }));
  router.post("/sdapi/v1/log", sdapi_options(Access::kUser, "sdapi_write_log"),
              sdapi_at_once([](Exchange& exchange) { return write_log(exchange); }));
  // A restart is an end too: the service manager starts the server again.
  for (const char* const path : {"/sdapi/v1/shutdown", "/sdapi/v1/restart", "/sdapi/v1/server-kill",
                                 "/sdapi/v1/server-stop", "/sdapi/v1/server-restart"}) {
    router.post(path, sdapi_options(Access::kAdmin, "sdapi_shutdown"),
                sdapi_at_once([&](Exchange&) {
                  if (backend.shut_down) backend.shut_down();
                  return json::value(json::object());
                }));
  }
}

}  // namespace safelight::http
