// The forms of a FileReport: names, text for people, JSON for programs.

#include <fmt/format.h>

#include <array>
#include <boost/json/array.hpp>
#include <iterator>

#include "weights/inspect.h"
#include "weights/messages.h"

namespace safelight::weights {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 5> kFormatNames = {"safetensors", "safetensors-sharded",
                                                          "diffusers-folder", "torch", "gguf"};
constexpr std::array<std::string_view, 9> kKindNames = {"unknown",      "checkpoint", "denoiser",
                                                        "text-encoder", "vae",        "lora",
                                                        "embedding",    "controlnet", "upscaler"};
constexpr std::array<std::string_view, 7> kFamilyNames = {"unknown",      "sd1", "sd2", "sdxl",
                                                          "sdxl-refiner", "sd3", "flux"};
constexpr std::array<std::string_view, 6> kDialectNames = {"unknown",   "original", "diffusers",
                                                           "component", "kohya",    "peft"};

std::string size_text(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1024.0 && unit + 1 < kUnits.size(); ++unit) size /= 1024.0;
  return fmt::format("{:.{}f} {}", size, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string count_text(int64_t count) {
  const auto n = static_cast<double>(count);
  if (count >= 1'000'000'000) return fmt::format("{:.2f} G", n / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.1f} M", n / 1e6);
  if (count >= 1'000) return fmt::format("{:.1f} k", n / 1e3);
  return fmt::format("{}", count);
}

/// "F16 98.2 %, F32 1.8 %", or a single name.
std::string precision_text(const ComponentReport& component) {
  if (component.parameters_by_dtype.size() == 1) {
    return std::string(graph::dtype_name(component.parameters_by_dtype.begin()->first));
  }
  std::string text;
  for (const auto& [dtype, parameters] : component.parameters_by_dtype) {
    const double share = component.parameters == 0 ? 0.0
                                                   : 100.0 * static_cast<double>(parameters) /
                                                         static_cast<double>(component.parameters);
    fmt::format_to(std::back_inserter(text), "{}{} {:.1f} %", text.empty() ? "" : ", ",
                   graph::dtype_name(dtype), share);
  }
  return text;
}

void append_component(std::string& text, const ComponentReport& component) {
  fmt::format_to(std::back_inserter(text), "  {:<16}{:>10} parameters{:>12}{:>7} tensors  {}\n",
                 component.name, count_text(component.parameters), size_text(component.bytes),
                 component.tensors, precision_text(component));
}

json::object component_json(const ComponentReport& component) {
  json::object precisions;
  for (const auto& [dtype, parameters] : component.parameters_by_dtype) {
    precisions[graph::dtype_name(dtype)] = parameters;
  }
  return {{"name", component.name},
          {"tensors", component.tensors},
          {"parameters", component.parameters},
          {"bytes", component.bytes},
          {"parameters_by_dtype", std::move(precisions)}};
}

json::object tensor_json(const TensorReport& tensor) {
  return {{"name", tensor.name},
          {"dtype", graph::dtype_name(tensor.dtype)},
          {"shape", json::array(tensor.shape.begin(), tensor.shape.end())}};
}

}  // namespace

std::string_view name_of(FileFormat format) { return kFormatNames.at(static_cast<size_t>(format)); }
std::string_view name_of(FileKind kind) { return kKindNames.at(static_cast<size_t>(kind)); }
std::string_view name_of(Family family) { return kFamilyNames.at(static_cast<size_t>(family)); }
std::string_view name_of(Dialect dialect) { return kDialectNames.at(static_cast<size_t>(dialect)); }

std::string to_text(const FileReport& report) {
  std::string text;
  const auto line = [&](std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(text), "{:<12}{}\n", key, value);
  };
  line("file", printable(report.path, 1000));
  line("format", name_of(report.format));
  line("kind", name_of(report.kind));
  line("family", name_of(report.family));
  if (!report.model.empty()) line("model", report.model);
  line("names", name_of(report.dialect));
  text += "components\n";
  for (const ComponentReport& component : report.components) append_component(text, component);
  append_component(text, report.total);
  if (!report.metadata.empty()) text += "metadata\n";
  for (const auto& [key, value] : report.metadata) {
    fmt::format_to(std::back_inserter(text), "  {}: {}\n", printable(key), printable(value, 300));
  }
  if (!report.tensors.empty()) text += "tensors\n";
  for (const TensorReport& tensor : report.tensors) {
    fmt::format_to(std::back_inserter(text), "  {} {} {}\n", printable(tensor.name, 300),
                   graph::dtype_name(tensor.dtype), shape_text(tensor.shape));
  }
  return text;
}

json::object to_json(const FileReport& report) {
  json::array components;
  for (const ComponentReport& component : report.components) {
    components.push_back(component_json(component));
  }
  json::object metadata;
  for (const auto& [key, value] : report.metadata) metadata[key] = value;
  json::object object = {{"file", report.path},
                         {"format", name_of(report.format)},
                         {"kind", name_of(report.kind)},
                         {"family", name_of(report.family)},
                         {"names", name_of(report.dialect)},
                         {"is_lora", report.kind == FileKind::kLora},
                         {"total", component_json(report.total)},
                         {"components", std::move(components)},
                         {"metadata", std::move(metadata)}};
  if (!report.model.empty()) object["model"] = report.model;
  if (!report.tensors.empty()) {
    json::array& list = object["tensors"].emplace_array();
    for (const TensorReport& tensor : report.tensors) list.push_back(tensor_json(tensor));
  }
  return object;
}

}  // namespace safelight::weights
