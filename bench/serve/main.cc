// Puts a running server under load and prints what it saw as JSON; bench/serve/run.sh has the whole
// measurement.
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>

#include "load.h"

int main(int argc, char** argv) {
  using namespace safelight::bench;
  CLI::App app("Puts a running Safelight server under load.");
  app.require_subcommand(1);
  Target target;
  app.add_option("--host", target.host);
  app.add_option("--port", target.port)->required();
  app.add_option("--key", target.key);

  std::vector<std::string> paths;
  double rate = 2000, seconds = 10;
  int connections = 50, count = 10'000, sockets = 2000;
  std::string job = "*", body, folder = ".";
  boost::json::object seen;

  CLI::App* polling = app.add_subcommand("poll", "GETs at a constant rate");
  polling->add_option("PATH", paths)->required();
  polling->add_option("--rate", rate);
  polling->add_option("--connections", connections);
  polling->add_option("--seconds", seconds);
  polling->callback([&] { seen = poll(target, paths, rate, connections, seconds); });

  CLI::App* submitting = app.add_subcommand("submit", "POSTs of jobs");
  submitting->add_option("BODY", body)->required();
  submitting->add_option("--count", count);
  submitting->add_option("--connections", connections);
  submitting->add_option("--sync-folder", folder, "measures the disk's own fsync there");
  submitting->callback([&] {
    const auto sync = sync_times(folder, 500);
    seen = submit(target, body, count, connections);
    seen["fsync_ms"] = sync;
  });

  CLI::App* watching = app.add_subcommand("watch", "WebSockets that watch a job");
  watching->add_option("JOB", job);
  watching->add_option("--sockets", sockets);
  watching->add_option("--seconds", seconds);
  watching->callback([&] { seen = watch(target, job, sockets, seconds); });

  CLI11_PARSE(app, argc, argv);
  std::cout << boost::json::serialize(seen) << "\n";
  return 0;
}
