#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/prompt_count.h"
#include "app/verbs/verbs.h"

namespace safelight::app {
namespace {

namespace json = boost::json;

struct Options {
  std::vector<std::string> prompt;
  CountOptions count;
  bool json = false;
};

std::string to_text(const json::object& count) {
  const json::array& parts = count.at("parts").as_array();
  std::string text =
      fmt::format("{}/{} tokens, {} chunk{}\n", count.at("tokens").to_number<int64_t>(),
                  count.at("limit").to_number<int64_t>(), count.at("chunks").to_number<int64_t>(),
                  count.at("chunks").to_number<int64_t>() == 1 ? "" : "s");
  for (const json::value& part : parts) {
    const json::array& schedule = part.at("schedule").as_array();
    if (parts.size() > 1)
      text += fmt::format("AND part, weight {}\n", part.at("weight").to_number<double>());
    if (parts.size() == 1 && schedule.size() == 1) continue;
    for (const json::value& entry : schedule) {
      text += fmt::format(
          "  to step {:>4}  {:>4} tokens  {}\n", entry.at("end_step").to_number<int64_t>(),
          entry.at("tokens").to_number<int64_t>(), std::string_view(entry.at("text").as_string()));
    }
  }
  return text;
}

Status run(const Options& options) {
  std::string prompt;
  for (size_t i = 0; i < options.prompt.size(); ++i)
    prompt += (i == 0 ? "" : " ") + options.prompt[i];
  const auto count = count_prompt(prompt, options.count);
  if (!count) return count.error();
  return print_out(options.json ? json::serialize(*count) + "\n" : to_text(*count));
}

}  // namespace

Verb add_tokens(CLI::App& root) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      root.add_subcommand("tokens", "Count the tokens of a prompt, and show how it is read");
  command->add_option("PROMPT", options->prompt, "The prompt; several words need no quotes")
      ->type_name("TEXT");
  command->add_option("-s,--steps", options->count.steps, "Sampling steps, for [a:b:0.5] [20]")
      ->type_name("NUMBER");
  command->add_option("--prompt-syntax", options->count.syntax, "How it is read [webui]")
      ->type_name("webui|comfyui|fixed");
  command->add_flag("--json", options->json, "Print it as JSON");
  return {command, [options] { return run(*options); }};
}

}  // namespace safelight::app
