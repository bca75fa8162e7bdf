#include "app/local_workers.h"

#include <string>

#include "app/broker_worker.h"

namespace safelight::app {
namespace {

/// What of the settings the process that draws is called with.
MachineFlags machine_flags(const ServerSettings& settings) {
  MachineFlags flags;
  flags.models_dirs = settings.models_dirs;
  flags.precision = settings.precision;
  if (settings.max_memory.bytes > 0) flags.max_memory = std::to_string(settings.max_memory.bytes);
  flags.threads = static_cast<int>(settings.threads);
  flags.weights_cache = settings.weights_cache;
  return flags;
}

const Error kNoWorker{ErrorCode::kUnavailable,
                      "this server has no worker of its own; models are loaded by the workers of "
                      "its broker when a job needs them"};

}  // namespace

LocalWorkers::LocalWorkers(jobs::Service& service, const ServerSettings& settings,
                           const ServerFolders& folders, const api::Options& options)
    : pictures_(folders.outputs, [&options] { return options.text("samples_filename_pattern"); }) {
  if (settings.front_only) return;
  dispatcher_ = std::make_unique<jobs::Dispatcher>(
      service, jobs::DispatcherOptions{
                   .name = settings.name.empty() ? default_worker_name() : settings.name,
                   .command = drawing_command(machine_flags(settings)),
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
