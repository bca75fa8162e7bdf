#pragma once

#include <memory>

#include "api/backend.h"
#include "api/options.h"
#include "app/saved_pictures.h"
#include "app/server_files.h"
#include "app/server_settings.h"
#include "jobs/dispatcher.h"

namespace safelight::app {

/// The worker of this process, or none on a front of a service whose workers are elsewhere.
class LocalWorkers : public api::Workers {
 public:
  LocalWorkers(jobs::Service& service, const ServerSettings& settings, const ServerFolders& folders,
               const api::Options& options);

  Status start();
  void drain(int64_t grace_ms);

  std::vector<jobs::WorkerStatus> status() const override;
  Status load(const std::string& model) override;
  Status unload(const std::string& model) override;
  bool skip(const std::string& job) override;
  void watch_previews(const std::string& job, bool wanted) override;

 private:
  SavedPictures pictures_;
  std::unique_ptr<jobs::Dispatcher> dispatcher_;
};

}  // namespace safelight::app
