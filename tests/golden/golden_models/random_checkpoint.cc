#include "golden/golden_models/random_checkpoint.h"

#include <bit>
#include <boost/json.hpp>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "base/file.h"
#include "base/json.h"
#include "support/torch_writer.h"
#include "weights/convert.h"
#include "weights/safetensors.h"
#include "weights/save_weights.h"

namespace safelight::testing {
namespace {

namespace json = boost::json;

/// The weights of record_sd1.py and record_families.py.
std::vector<float> random_weight(const std::string& name, const std::vector<int64_t>& shape) {
  uint64_t seed = 0xCBF29CE484222325U;
  for (const char c : name) seed = (seed ^ static_cast<uint8_t>(c)) * 0x100000001B3U;
  const bool vector = shape.size() == 1, embedding = name.find("embedding") != std::string::npos;
  float scale = 1, centre = 0;
  if (vector) {
    scale = 0.125F;
    centre = name.ends_with("weight") ? 1.0F : 0.0F;
  } else if (!embedding) {
    const auto fan_in = static_cast<double>(Tensor::count(shape) / shape[0]);
    scale = std::exp2(static_cast<float>(std::nearbyint(std::log2(1.6 / std::sqrt(fan_in)))));
  }
  std::vector<float> values(static_cast<size_t>(Tensor::count(shape)));
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    values[i] = centre + scale * (static_cast<float>(z >> 40) * 0x1p-23F - 1);
  }
  return values;
}

/// float32 to the bits of the nearest float16, ties to even; for values below 65504.
uint16_t half_bits(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const float magnitude = std::abs(value);
  if (magnitude < 0x1p-14F)
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24F));
  uint32_t rest = (bits & 0x7FFFFFFF) - (112U << 23);
  rest += 0xFFF + (rest >> 13 & 1);
  return sign | static_cast<uint16_t>(rest >> 13);
}

weights::TensorView stored(const std::vector<float>& values, const std::vector<int64_t>& shape,
                           bool half) {
  auto bytes = std::make_shared<std::string>();
  for (const float value : values) {
    if (half) {
      const uint16_t bits = half_bits(value);
      bytes->append(reinterpret_cast<const char*>(&bits), sizeof bits);
    } else {
      bytes->append(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }
  const Bytes data{reinterpret_cast<const std::byte*>(bytes->data()), bytes->size()};
  return {half ? graph::DType::kF16 : graph::DType::kF32, shape, data, bytes};
}

/// A name of diffusers and transformers of today as folders published before 2023 have it.
std::string older_name(std::string name) {
  for (const auto& [now, then] :
       {std::pair("vae.encoder.mid_block.attentions.0.to_", "vae.encoder.mid_block.attentions.0."),
        std::pair("vae.decoder.mid_block.attentions.0.to_",
                  "vae.decoder.mid_block.attentions.0.")}) {
    if (!name.starts_with(now)) continue;
    const std::string rest = name.substr(std::string_view(now).size());
    const std::string tail = rest.substr(rest.rfind('.'));
    const char* part = rest[0] == 'q'   ? "query"
                       : rest[0] == 'k' ? "key"
                       : rest[0] == 'v' ? "value"
                                        : "proj_attn";
    return then + std::string(part) + tail;
  }
  for (const std::string_view text : {"text_encoder.", "text_encoder_2."}) {
    const std::string rest = name.substr(std::min(text.size(), name.size()));
    if (name.starts_with(text) && !rest.starts_with("text_"))
      name.insert(text.size(), "text_model.");
  }
  return name;
}

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}
void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

/// The same checkpoint in a file of another kind.
std::filesystem::path in_container(const std::filesystem::path& safetensors, Container container) {
  if (container == Container::kSafetensors) return safetensors;
  const weights::TensorIndex index = must(weights::open_safetensors(safetensors));
  std::filesystem::path other = safetensors;
  if (container == Container::kTorch) {
    other.replace_extension(".ckpt");
    must(write_file_atomically(other, torch_checkpoint(index)));
  } else {
    other.replace_extension(".gguf");
    must(weights::save_weights(index, other, {.format = weights::FileFormat::kGguf}));
  }
  return other;
}

/// Values and shape of a part of an original tensor: an index of three, or "T" for transposed.
std::pair<std::vector<float>, std::vector<int64_t>> part_of(const std::vector<float>& values,
                                                            std::vector<int64_t> shape,
                                                            const json::value& part) {
  if (part.is_int64()) {
    shape[0] /= 3;
    const auto size = static_cast<std::ptrdiff_t>(values.size() / 3);
    const auto begin = values.begin() + size * part.get_int64();
    return {{begin, begin + size}, shape};
  }
  const auto rows = static_cast<size_t>(shape[0]), columns = static_cast<size_t>(shape[1]);
  std::vector<float> turned(values.size());
  for (size_t i = 0; i < values.size(); ++i) turned[i % columns * rows + i / columns] = values[i];
  return {turned, {shape[1], shape[0]}};
}

void write_json(const std::filesystem::path& path, const json::value& value) {
  must(write_file_atomically(path, json::serialize(value)));
}

/// The component folders of a diffusers model, with the configs that were recorded.
std::filesystem::path write_diffusers(
    const std::filesystem::path& folder, const json::value& recorded,
    const std::map<std::string, weights::TensorIndex::Map>& components) {
  json::object index;
  for (const auto& [component, tensors] : components) {
    const bool text = component.starts_with("text_encoder");
    index[component] = {text ? "transformers" : "diffusers", "Network"};
    const json::value* configs = recorded.as_object().if_contains("configs");
    const json::value* config = configs ? configs->as_object().if_contains(component) : nullptr;
    write_json(folder / component / "config.json", config ? *config : json::object());
    must(weights::write_safetensors(
        folder / component / (text ? "model.safetensors" : "diffusion_pytorch_model.safetensors"),
        tensors));
  }
  if (const json::value* scheduler = recorded.as_object().if_contains("scheduler")) {
    index["scheduler"] = {"diffusers", "EulerDiscreteScheduler"};
    write_json(folder / "scheduler" / "scheduler_config.json", *scheduler);
  }
  write_json(folder / "model_index.json", index);
  return folder;
}

}  // namespace

RandomCheckpoint::RandomCheckpoint(const std::string& variant, const std::string& group)
    : data_(std::filesystem::path(SAFELIGHT_SOURCE_DIR) / "tests/golden/data" / group / variant) {}

std::filesystem::path RandomCheckpoint::write(const std::filesystem::path& folder, Dialect dialect,
                                              Container container) const {
  const json::value recorded = must(parse_json(must(read_file(data_ / "checkpoint.json"))));
  const json::object& shapes = recorded.at("shapes").as_object();
  const bool half = recorded.at("dtype").as_string() == "F16";
  std::map<std::string, weights::TensorIndex::Map>
      files;  // by component; one without a name for the original dialect
  const auto values_of = [&](const std::string& original) {
    std::vector<float> values =
        random_weight(original, json::value_to<std::vector<int64_t>>(shapes.at(original)));
    if (const json::value* sum = recorded.at("sums").as_object().if_contains(original)) {
      double total = 0;
      const std::vector<int64_t> flat{static_cast<int64_t>(values.size())};
      for (const float value : weights::to_tensor(stored(values, flat, half))) total += value;
      if (std::abs(total - sum->to_number<double>()) > 1e-6)
        throw std::runtime_error("another weight: " + original);
    }
    return values;
  };
  if (dialect == Dialect::kOriginal) {
    for (const auto& [name, shape] : shapes) {
      files[""].emplace(name,
                        stored(values_of(name), json::value_to<std::vector<int64_t>>(shape), half));
    }
    must(weights::write_safetensors(folder / "model.safetensors", files[""]));
    return in_container(folder / "model.safetensors", container);
  }
  for (const auto& [name, place] : recorded.at("diffusers").as_object()) {
    const std::string text =
        dialect == Dialect::kOlderDiffusers ? older_name(name) : std::string(name);
    const std::string original(place.is_array() ? place.at(0).as_string() : place.as_string());
    auto shape = json::value_to<std::vector<int64_t>>(shapes.at(original));
    std::vector<float> values = values_of(original);
    if (place.is_array()) std::tie(values, shape) = part_of(values, shape, place.at(1));
    const size_t dot = text.find('.');
    files[text.substr(0, dot)].emplace(text.substr(dot + 1), stored(values, shape, half));
  }
  return write_diffusers(folder, recorded, files);
}

std::vector<double> RandomCheckpoint::numbers(const std::string& name) const {
  const json::value recorded = must(parse_json(must(read_file(data_ / "checkpoint.json"))));
  std::vector<double> numbers;
  for (const json::value& number : recorded.at(name).as_array())
    numbers.push_back(number.to_number<double>());
  return numbers;
}

Tensor RandomCheckpoint::recorded(const std::string& name) const {
  const weights::TensorIndex index = must(weights::open_safetensors(data_ / "taps.safetensors"));
  const weights::TensorView* tensor = index.find(name);
  if (!tensor) throw std::runtime_error("not recorded: " + name);
  return weights::to_tensor(*tensor);
}

std::vector<std::string> RandomCheckpoint::recorded_names() const {
  const weights::TensorIndex index = must(weights::open_safetensors(data_ / "taps.safetensors"));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : index) names.push_back(name);
  return names;
}

}  // namespace safelight::testing
