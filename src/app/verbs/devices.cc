#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "app/verbs/verbs.h"
#include "engine/engine.h"

namespace safelight::app {
namespace {

namespace json = boost::json;

std::string to_text(const engine::DeviceInfo& device) {
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  return fmt::format(
      "{}: {}\n  instructions  {}\n  threads       {}\n  memory        {:.1f} GiB\n"
      "  precision     {} (what 'auto' means here)\n",
      device.engine, device.name, device.features, device.threads,
      static_cast<double>(device.memory) / kGibibyte, engine::precision_name(device.precision));
}

json::object to_json(const engine::DeviceInfo& device) {
  return {{"engine", device.engine},     {"name", device.name},
          {"features", device.features}, {"threads", device.threads},
          {"memory", device.memory},     {"precision", engine::precision_name(device.precision)}};
}

Status run(bool as_json) {
  json::array array;
  std::string text;
  for (const std::string_view name : engine::engine_names()) {
    const auto made = engine::make_engine(name, {});
    if (!made) return made.error();
    array.push_back(to_json((*made)->device()));
    text += to_text((*made)->device());
  }
  return print_out(as_json ? json::serialize(array) + "\n" : text);
}

}  // namespace

Verb add_devices(CLI::App& root) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command =
      root.add_subcommand("devices", "List the devices that pictures can be drawn on");
  command->add_flag("--json", *as_json, "Print the list as JSON");
  return {command, [as_json] { return run(*as_json); }};
}

}  // namespace safelight::app
