#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <string>

#include "app/verbs/verbs.h"
#include "diffusion/sampler.h"

namespace safelight::app {
namespace {

namespace json = boost::json;
using diffusion::SamplerInfo;
using diffusion::Spacing;
using diffusion::SpacingInfo;

/// What Automatic means for a sampler.
std::string_view automatic_name(const SamplerInfo& sampler) {
  return sampler.automatic == Spacing::kAutomatic ? "its own"
                                                  : diffusion::info(sampler.automatic).name;
}

std::string to_text() {
  std::string text = fmt::format("{:<25}  {:<12}  {:<6}  {:<6}  {}\n", "SAMPLER", "AUTOMATIC",
                                 "EVALS", "NOISE", "EQUALS");
  for (const SamplerInfo& sampler : diffusion::samplers()) {
    text += fmt::format("{:<25}  {:<12}  {:<6}  {:<6}  {}\n", sampler.name, automatic_name(sampler),
                        sampler.evaluations, sampler.stochastic ? "yes" : "no", sampler.reference);
  }
  text += fmt::format("\n{:<25}  {}\n", "SCHEDULE", "MEANING");
  for (const SpacingInfo& spacing : diffusion::spacings()) {
    text += fmt::format("{:<25}  {}\n", spacing.name, spacing.description);
  }
  return text;
}

json::object to_json() {
  json::array samplers, schedules;
  for (const SamplerInfo& sampler : diffusion::samplers()) {
    samplers.push_back({{"name", sampler.name},
                        {"aliases", sampler.aliases},
                        {"automatic", automatic_name(sampler)},
                        {"uses_schedule", sampler.uses_spacing},
                        {"evaluations", sampler.evaluations},
                        {"stochastic", sampler.stochastic},
                        {"cfg_plus_plus", sampler.uses_unguided},
                        {"equals", sampler.reference}});
  }
  for (const SpacingInfo& spacing : diffusion::spacings()) {
    schedules.push_back({{"name", spacing.name},
                         {"identifier", spacing.identifier},
                         {"aliases", spacing.aliases},
                         {"meaning", spacing.description}});
  }
  return {{"samplers", samplers}, {"schedules", schedules}};
}

}  // namespace

Verb add_samplers(CLI::App& root) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = root.add_subcommand("samplers", "List samplers and noise schedules");
  command->add_flag("--json", *as_json, "Print the lists as JSON");
  return {command, [as_json] {
            return print_out(*as_json ? json::serialize(to_json()) + "\n" : to_text());
          }};
}

}  // namespace safelight::app
