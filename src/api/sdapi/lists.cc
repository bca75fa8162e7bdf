#include "api/sdapi/lists.h"

#include <algorithm>

#include "base/hash.h"
#include "base/json.h"

namespace safelight::api::sdapi {
namespace {

namespace json = boost::json;

std::string_view component_of(const OptionInfo& option) {
  if (!option.choices.empty()) return "Dropdown";
  switch (option.type) {
    case OptionType::kBool:
      return "Checkbox";
    case OptionType::kInteger:
    case OptionType::kNumber:
      return "Number";
    case OptionType::kText:
      break;
  }
  return "Textbox";
}

std::string_view type_name(OptionType type) {
  switch (type) {
    case OptionType::kBool:
      return "boolean";
    case OptionType::kInteger:
      return "integer";
    case OptionType::kNumber:
      return "number";
    case OptionType::kText:
      break;
  }
  return "string";
}

json::object component_args(const OptionInfo& option) {
  if (option.type == OptionType::kInteger || option.type == OptionType::kNumber) {
    return {{"minimum", option.minimum}, {"maximum", option.maximum}};
  }
  if (option.choices.empty()) return {};
  json::array choices;
  std::string_view rest = option.choices;
  while (!rest.empty()) {
    const std::string_view choice = rest.substr(0, rest.find('|'));
    choices.emplace_back(choice);
    rest.remove_prefix(std::min(choice.size() + 1, rest.size()));
  }
  return {{"choices", std::move(choices)}};
}

std::string_view section_title(std::string_view id) {
  for (const OptionSection& section : Options::sections()) {
    if (section.id == id) return section.title;
  }
  return id;
}

json::object option_info(const OptionInfo& option) {
  return {
      {"label", option.label},
      {"section_id", option.section},
      {"section_title", section_title(option.section)},
      {"visible", true},
      {"hidden", false},
      {"type", type_name(option.type)},
      {"component", component_of(option)},
      {"component_args", component_args(option)},
      {"default", *parse_json(option.default_value)},
      {"read_only", option.read_only},
      {"is_legacy", false},
      {"is_secret", false},
  };
}

}  // namespace

json::array samplers(const Catalog& catalog) {
  json::array list;
  for (const SamplerInfo& sampler : catalog.samplers()) {
    json::array aliases;
    std::string_view rest = sampler.aliases;
    while (!rest.empty()) {
      const std::string_view alias = rest.substr(0, rest.find(','));
      const size_t start = std::min(alias.find_first_not_of(' '), alias.size());
      if (start < alias.size()) aliases.emplace_back(alias.substr(start));
      rest.remove_prefix(std::min(alias.size() + 1, rest.size()));
    }
    list.push_back(json::object{
        {"name", sampler.name}, {"aliases", std::move(aliases)}, {"options", json::object()}});
  }
  return list;
}

json::array schedulers(const Catalog& catalog) {
  json::array list;
  for (const ScheduleInfo& schedule : catalog.schedules()) {
    list.push_back(json::object{{"name", schedule.identifier},
                                {"label", schedule.name},
                                {"aliases", nullptr},
                                {"default_rho", -1},
                                {"need_inner_model", false},
                                {"options", json::object()}});
  }
  return list;
}

json::array prompt_styles(Catalog& catalog) {
  json::array list;
  for (const StyleInfo& style : catalog.styles()) {
    list.push_back(json::object{{"name", style.name},
                                {"prompt", style.prompt},
                                {"negative_prompt", style.negative_prompt}});
  }
  return list;
}

json::array wildcards(Catalog& catalog) {
  json::array list;
  for (const std::string& name : catalog.wildcards()) list.emplace_back(name);
  return list;
}

json::array upscalers() {
  return {json::object{{"name", "None"},
                       {"model_name", nullptr},
                       {"model_path", nullptr},
                       {"model_url", nullptr},
                       {"scale", 1}}};
}

/// As SD.Next calls it: a file's ending; a folder is diffusers'.
std::string format_of(const ModelInfo& model) {
  const std::string ending = model.path.extension().string();
  for (const char* known : {".safetensors", ".gguf", ".ckpt", ".pt", ".pth", ".bin"}) {
    if (ending == known) return ending.substr(1);
  }
  return "diffusers";
}

json::object sd_model(const ModelInfo& model) {
  const bool hashed = !model.sha256.empty();
  return {
      {"title", model.title()},
      {"model_name", model.name},
      {"hash", hashed ? json::value(short_hash(model.sha256)) : json::value()},
      {"sha256", hashed ? json::value(model.sha256) : json::value()},
      {"filename", model.path.string()},
      {"type", format_of(model)},
      {"config", nullptr},
  };
}

json::array sd_models(Catalog& catalog) {
  json::array list;
  for (const ModelInfo& model : catalog.models("checkpoint")) list.push_back(sd_model(model));
  return list;
}

json::array sd_vaes(Catalog& catalog) {
  json::array list;
  for (const ModelInfo& vae : catalog.models("vae"))
    list.push_back({{"model_name", vae.name}, {"filename", vae.path.string()}});
  return list;
}

json::array unets(Catalog& catalog) {
  json::array list;
  for (const ModelInfo& unet : catalog.models("denoiser"))
    list.push_back({{"name", unet.name}, {"filename", unet.path.string()}});
  return list;
}

json::array loras(Catalog& catalog) {
  json::array list;
  for (const LoraInfo& lora : catalog.loras()) {
    json::object metadata;
    for (const auto& [key, value] : lora.metadata) metadata[key] = value;
    list.push_back(json::object{{"name", lora.file.name},
                                {"alias", lora.alias},
                                {"path", lora.file.path.string()},
                                {"metadata", std::move(metadata)}});
  }
  return list;
}

json::object embeddings(Catalog& catalog, const std::string& model) {
  json::object loaded, skipped;
  for (const EmbeddingInfo& embedding : catalog.embeddings(model)) {
    json::object entry{
        {"step", embedding.step ? json::value(*embedding.step) : json::value()},
        {"sd_checkpoint", nullptr},
        {"sd_checkpoint_name",
         embedding.checkpoint.empty() ? json::value() : json::value(embedding.checkpoint)},
        {"shape", embedding.width},
        {"vectors", embedding.vectors}};
    (embedding.fits ? loaded : skipped)[embedding.file.name] = std::move(entry);
  }
  return {{"loaded", std::move(loaded)}, {"skipped", std::move(skipped)}};
}

json::array extra_networks(Catalog& catalog) {
  struct Page {
    const char *kind, *type;
  };
  json::array list;
  for (const Page& page : {Page{"checkpoint", "model"}, Page{"lora", "lora"},
                           Page{"embedding", "embedding"}, Page{"vae", "vae"}}) {
    for (const ModelInfo& model : catalog.models(page.kind)) {
      list.push_back(json::object{{"name", model.name},
                                  {"type", page.type},
                                  {"title", model.title()},
                                  {"fullname", model.path.filename().string()},
                                  {"filename", model.path.string()},
                                  {"hash", model.sha256},
                                  {"preview", nullptr}});
    }
  }
  return list;
}

json::object options(const Options& options, Catalog& catalog) {
  json::object values = options.values();
  // Without any model the names stay empty.
  const Result<ModelInfo> model = catalog.find(options.text("sd_model_checkpoint"));
  if (model) {
    values["sd_model_checkpoint"] = model->title();
    values["sd_checkpoint_hash"] = model->sha256;
  }
  return values;
}

json::object options_info() {
  json::object options;
  for (const OptionInfo& option : Options::table()) options[option.key] = option_info(option);
  json::array sections;
  for (const OptionSection& section : Options::sections()) {
    sections.push_back(json::object{{"id", section.id}, {"title", section.title}});
  }
  return {{"options", std::move(options)}, {"sections", std::move(sections)}};
}

}  // namespace safelight::api::sdapi
