#include "app/local_workers.h"

#include <fmt/format.h>
#include <unistd.h>

#include "app/paths.h"
#include "base/process.h"

namespace safelight::app {
namespace {

std::string worker_name(const ServerSettings& settings) {
  if (!settings.name.empty()) return settings.name;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return fmt::format("{}", ::getpid());
  return fmt::format("{}-{}", host.data(), ::getpid());
}

const Error kNoWorker{ErrorCode::kUnavailable,
                      "this server has no worker of its own; models are loaded by the workers of "
                      "its broker when a job needs them"};

}  // namespace

std::vector<std::string> worker_command(const ServerSettings& settings) {
  std::vector<std::string> command = {executable_path().string(), "worker", "--channel",
                                      std::to_string(kChannelFd)};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command.insert(command.end(), {flag, value});
  };
  for (const std::string& folder : settings.models_dirs) add("--models-dir", folder);
  add("--precision", settings.precision);
  if (settings.threads > 0) add("--threads", std::to_string(settings.threads));
  if (settings.max_memory.bytes > 0) add("--max-memory", std::to_string(settings.max_memory.bytes));
  if (settings.weights_cache) command.emplace_back("--weights-cache");
  return command;
}

LocalWorkers::LocalWorkers(jobs::Service& service, const ServerSettings& settings,
                           const ServerFolders& folders, const api::Options& options)
    : pictures_(folders.outputs, [&options] { return options.text("samples_filename_pattern"); }) {
  if (settings.front_only) return;
  dispatcher_ = std::make_unique<jobs::Dispatcher>(
      service, jobs::DispatcherOptions{
                   .name = worker_name(settings),
                   .command = worker_command(settings),
                   .patience_ms = settings.patience.ms,
                   .memory_budget = settings.max_memory.bytes,
                   .idle_seconds = settings.idle_unload.ms / 1000,
                   .pinned = settings.pinned_models,
                   .save = [this](const jobs::Job& job, const jobs::FinishedPicture& picture) {
                     return pictures_.save(job, picture);
                   }});
}

Status LocalWorkers::start() { return dispatcher_ ? dispatcher_->start() : Status(); }

void LocalWorkers::drain(int64_t grace_ms) {
  if (dispatcher_) dispatcher_->drain(grace_ms);
}

std::vector<jobs::WorkerStatus> LocalWorkers::status() const {
  if (!dispatcher_) return {};
  return {dispatcher_->status()};
}

Status LocalWorkers::load(const std::string& model) {
  return dispatcher_ ? dispatcher_->load(model) : kNoWorker;
}

Status LocalWorkers::unload(const std::string& model) {
  return dispatcher_ ? dispatcher_->unload(model) : kNoWorker;
}

bool LocalWorkers::skip(const std::string& job) { return dispatcher_ && dispatcher_->skip(job); }

void LocalWorkers::watch_previews(const std::string& job, bool wanted) {
  if (dispatcher_) dispatcher_->watch_previews(job, wanted);
}

}  // namespace safelight::app
