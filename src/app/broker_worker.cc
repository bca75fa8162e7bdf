#include "app/broker_worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <future>
#include <memory>

#include "app/paths.h"
#include "app/saved_pictures.h"
#include "app/termination.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "jobs/dispatcher.h"
#include "jobs/housekeeper.h"
#include "jobs/redis_relay.h"

namespace safelight::app {
namespace {

jobs::DispatcherOptions dispatcher_options(const BrokerWorker& worker) {
  jobs::DispatcherOptions options;
  options.name = worker.name.empty() ? default_worker_name() : worker.name;
  options.command = drawing_command(worker.machine);
  options.memory_budget = parse_bytes(worker.machine.max_memory).value_or(0);
  if (!worker.output_dir.empty()) {
    const auto pictures = std::make_shared<SavedPictures>(
        expand_home(worker.output_dir, process_environment), [&worker] { return worker.pattern; });
    options.save = [pictures](const jobs::Job& job, const jobs::FinishedPicture& picture) {
      return pictures->save(job, picture);
    };
  }
  return options;
}

}  // namespace

std::vector<std::string> drawing_command(const MachineFlags& flags) {
  std::vector<std::string> command{executable_path().string(), "worker", "--channel",
                                   std::to_string(kChannelFd)};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) command.insert(command.end(), {flag, value});
  };
  for (const std::string& folder : flags.models_dirs) add("--models-dir", folder);
  add("--precision", flags.precision);
  if (flags.threads > 0) add("--threads", std::to_string(flags.threads));
  add("--max-memory", flags.max_memory);
  if (flags.weights_cache) command.emplace_back("--weights-cache");
  return command;
}

std::string default_worker_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return fmt::format("{}", ::getpid());
  return fmt::format("{}-{}", host.data(), ::getpid());
}

Status run_broker_worker(const BrokerWorker& worker) {
  if (Status log = init_logging("info"); !log) return log;
  std::promise<void> asked_to_end;
  const Termination termination([&] { asked_to_end.set_value(); });
  auto opened = jobs::open_redis_store(worker.broker);
  if (!opened) return opened.error();
  const std::shared_ptr<jobs::RedisStore> store = *std::move(opened);
  jobs::Service service(store);
  const jobs::RedisRelay relay(service, store);
  const jobs::Housekeeper housekeeper(service);
  const jobs::DispatcherOptions options = dispatcher_options(worker);
  jobs::Dispatcher dispatcher(service, options);
  if (Status started = dispatcher.start(); !started) return started;
  spdlog::info("worker {} draws for {}", options.name, store->pool().label());
  asked_to_end.get_future().wait();
  spdlog::info("ending; what runs may take {} s more", worker.grace_seconds);
  dispatcher.drain(worker.grace_seconds * 1000);
  return {};
}

}  // namespace safelight::app
