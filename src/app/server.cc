#include "app/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "api/backend.h"
#include "api/options.h"
#include "app/job_store.h"
#include "app/local_workers.h"
#include "app/server_catalog.h"
#include "app/server_files.h"
#include "app/termination.h"
#include "app/verbs/verbs.h"
#include "app/version.h"
#include "base/log.h"
#include "http/auth/auth_routes.h"
#include "http/auth/auth_service.h"
#include "http/auth/exposure.h"
#include "http/auth/route_table.h"
#include "http/routes/health.h"
#include "http/routes/native.h"
#include "http/routes/openai.h"
#include "http/routes/pages.h"
#include "http/routes/sdapi.h"
#include "http/server.h"
#include "jobs/housekeeper.h"

namespace safelight::app {
namespace {

Result<http::AuthSettings> auth_settings(const ServerSettings& settings,
                                         const ServerFolders& folders) {
  http::AuthSettings auth;
  auth.address = settings.listen;
  auth.port = static_cast<uint16_t>(settings.port);
  auth.keys_file = folders.data / "keys.json";
  auth.allowed_hosts = settings.allowed_hosts;
  auth.cors_origins = settings.cors_origins;
  if (settings.rate_limit) auth.rate_per_minute = static_cast<double>(*settings.rate_limit);
  for (const std::string& text : settings.auth) {
    auto users = http::parse_users(text);
    if (!users) return users.error();
    auth.users.insert(auth.users.end(), users->begin(), users->end());
  }
  if (!settings.auth_file.empty()) {
    auto users = http::read_auth_file(expand_home(settings.auth_file, process_environment));
    if (!users) return users.error();
    auth.users.insert(auth.users.end(), users->begin(), users->end());
  }
  if (Status exposed = http::check_exposure(settings.listen, auth); !exposed)
    return exposed.error();
  return auth;
}

/// A value of the log's key=value pairs: in quotes where it would not be one word.
std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  return plain ? text : boost::json::serialize(boost::json::string(text));
}

http::ServerOptions server_options(const ServerSettings& settings) {
  http::ServerOptions options;
  options.address = settings.listen;
  options.port = static_cast<uint16_t>(settings.port);
  options.max_connections = static_cast<size_t>(settings.max_connections);
  options.cors_origins = settings.cors_origins;
  options.subpath = settings.subpath;
  options.trusted_proxies = settings.trusted_proxies;
  if (!settings.tls_certificate.empty()) {
    options.tls = http::TlsFiles{expand_home(settings.tls_certificate, process_environment),
                                 expand_home(settings.tls_key, process_environment)};
  }
  if (settings.access_log) {
    options.access_log = [](const http::AccessRecord& record) {
      spdlog::info(
          "request id={} address={} principal={} method={} path={} status={} bytes={} "
          "ms={:.1f}{}{}",
          record.request_id, record.address, quoted(record.principal), record.method,
          quoted(record.path), record.status, record.bytes, record.seconds * 1000,
          record.traceparent.empty() ? "" : " traceparent=", record.traceparent);
    };
  }
  return options;
}

/// All parts of a running server, in the order in which they stand on each other.
class Program {
 public:
  Program(const ServerSettings& settings, ServerFolders folders)
      : settings_(settings), folders_(std::move(folders)) {}

  Status start(Library library);
  void run() { server_->run(); }
  /// From any thread: lets what runs end within the grace, then run() returns.
  void end();
  /// From any thread, once it has started: reads the certificate again.
  void reload_tls();
  std::string url() const { return server_->url(); }

 private:
  Status start_jobs();
  Status start_http();
  void add_routes();

  const ServerSettings& settings_;
  const ServerFolders folders_;
  std::optional<JobStore> store_;
  std::unique_ptr<jobs::Service> service_;
  std::unique_ptr<JobStore::Relay> relay_;
  std::unique_ptr<api::Options> options_;
  std::unique_ptr<ServerCatalog> catalog_;
  std::unique_ptr<LocalWorkers> workers_;
  std::unique_ptr<jobs::Housekeeper> housekeeper_;
  std::unique_ptr<api::Backend> backend_;
  std::unique_ptr<http::AuthService> auth_;
  http::Metrics metrics_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
  std::atomic<bool> draining_ = false;
};

Status Program::start(Library library) {
  auto auth = auth_settings(settings_, folders_);
  if (!auth) return auth.error();
  auto options = api::Options::open(folders_.data, folders_.outputs);
  if (!options) return options.error();
  options_ = std::move(*options);
  catalog_ =
      std::make_unique<ServerCatalog>(std::move(library), settings_.models_dirs, settings_.model);
  if (Status jobs = start_jobs(); !jobs) return jobs;
  auto signing_key = server_key(folders_.data);
  if (!signing_key) return signing_key.error();
  // NOLINTNEXTLINE(modernize-make-unique): an aggregate that cannot be moved
  backend_.reset(new api::Backend{
      .jobs = *service_,
      .catalog = *catalog_,
      .workers = *workers_,
      .options = *options_,
      .facts = {.version = "Safelight " + version(),
                .started = jobs::now(),
                .data_dir = folders_.data,
                .output_dir = folders_.outputs,
                .flags = shown_settings(settings_)},
      .limits = {.max_queue = settings_.max_queue, .job_timeout_ms = settings_.job_timeout.ms},
      .shut_down = [] { ::kill(::getpid(), SIGTERM); },
      .signing_key = std::move(*signing_key)});
  auto service = http::AuthService::make(std::move(*auth));
  if (!service) return service.error();
  auth_ = std::move(*service);
  return start_http();
}

Status Program::start_jobs() {
  auto store = JobStore::open(settings_, folders_.data);
  if (!store) return store.error();
  store_ = std::move(*store);
  service_ = std::make_unique<jobs::Service>(store_->store());
  relay_ = store_->start_relay(*service_);
  housekeeper_ = std::make_unique<jobs::Housekeeper>(*service_);
  workers_ = std::make_unique<LocalWorkers>(*service_, settings_, folders_, *options_);
  return workers_->start();
}

void Program::add_routes() {
  http::add_page_routes(router_);
  http::add_health_routes(
      router_, *backend_, metrics_,
      {.open_metrics = settings_.open_metrics, .draining = [this] { return draining_.load(); }});
  http::add_sdapi_routes(router_, *backend_);
  http::add_openai_routes(router_, *backend_);
  http::add_native_routes(router_, *backend_);
  http::add_auth_routes(router_, *auth_);
}

Status Program::start_http() {
  add_routes();
  spdlog::trace("routes, with access, cost and name:\n{}", http::route_table(router_));
  server_ = std::make_unique<http::Server>(server_options(settings_), router_, *auth_, metrics_);
  http::raise_open_file_limit();
  if (Status listening = server_->listen(); !listening) return listening;
  return auth_->listens_at(server_->addresses());
}

void Program::end() {
  const auto grace = std::chrono::milliseconds(settings_.grace.ms);
  spdlog::info("ending; what runs may take {} ms more", grace.count());
  draining_ = true;
  workers_->drain(grace.count());
  server_->stop(grace);
}

void Program::reload_tls() {
  if (Status read = server_->reload_tls(); !read) {
    spdlog::error("the old certificate stays: {}", read.error().message);
  } else {
    spdlog::info("the certificate was read again");
  }
}

}  // namespace

Status run_server(const ServerSettings& settings, Library library, const Texts& notes) {
  for (const std::string& note : notes) spdlog::warn("{}", note);
  Program program(settings, server_folders(settings, library.paths));
  std::atomic<bool> started = false;
  const auto end = [&] {
    // A signal that comes before the server runs has nothing to wait for.
    if (!started) ::_exit(error_info(ErrorCode::kCancelled).exit_status);
    program.end();
  };
  std::function<void()> reload;
  if (!settings.tls_certificate.empty()) {
    reload = [&] {
      if (started) program.reload_tls();
    };
  }
  const Termination termination(end, reload);
  if (Status ready = program.start(std::move(library)); !ready) return ready;
  started = true;
  if (Status said = print_out(program.url() + "\n"); !said) return said;
  program.run();
  return {};
}

}  // namespace safelight::app
