#include "bench/sd/random_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <vector>

#include "models/names/open_clip_names.h"
#include "nn/module.h"

namespace safelight::bench {
namespace {

namespace json = boost::json;
using weights::Param;

constexpr int kTableBits = 12;
constexpr size_t kPerDraw = 64 / kTableBits;  // table indices in one draw of 64 bits

/// Equally likely values of a normal distribution, in steps of the cumulative distribution.
using NormalTable = std::array<double, size_t{1} << kTableBits>;

NormalTable normal_table() {
  NormalTable table;
  double x = -4;
  for (size_t i = 0; i < table.size(); ++i) {
    const double wanted = (static_cast<double>(i) + 0.5) / static_cast<double>(table.size());
    // Newton's steps on the cumulative distribution, from the value before.
    for (int step = 0; step < 50; ++step) {
      const double difference = 0.5 * std::erfc(-x / std::sqrt(2)) - wanted;
      x -= difference * std::sqrt(2 * 3.14159265358979) * std::exp(x * x / 2);
    }
    table[i] = x;
  }
  return table;
}

uint16_t to_bits(double value, graph::DType dtype) {
  uint16_t bits;
  if (dtype == graph::DType::kF16) {
    const auto half = static_cast<_Float16>(value);
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
  }
  const auto single = static_cast<float>(value);
  uint32_t wide;
  std::memcpy(&wide, &single, sizeof wide);
  return static_cast<uint16_t>((wide + 0x7FFF + (wide >> 16 & 1)) >> 16);
}

/// SplitMix64 (Steele, Lea, Flood 2014) of a counter.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

struct Distribution {
  double mean = 0, deviation = 0;
};

Distribution distribution_of(const Param& param) {
  if (param.name.ends_with("bias")) return {0, 0.02};
  if (param.shape.size() == 1) return {1, 0.05};
  if (param.name.find("embedding") != std::string::npos) return {0, 0.02};
  int64_t fan_in = 1;
  for (size_t d = 1; d < param.shape.size(); ++d) fan_in *= param.shape[d];
  return {0, 1 / std::sqrt(static_cast<double>(fan_in))};
}

using models::stable_diffusion::TextConfig;

/// The params of a text encoder as original files have them: OpenCLIP's in its own names and forms.
std::vector<Param> text_params(const TextConfig& config, const std::string& prefix) {
  models::clip::TextEncoder text(config.network);
  std::vector<Param> params = nn::name_params(text, "");
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const Param& param : params) {
    weights::TensorPlace place = config.zero_padding ? models::names::open_clip_place(param.name)
                                                     : weights::TensorPlace(param.name);
    std::vector<int64_t> shape = param.shape;
    shape[0] *= place.parts;
    if (place.transposed) std::reverse(shape.begin(), shape.end());
    shapes.emplace(prefix + place.name, std::move(shape));
  }
  params.clear();
  for (auto& [name, shape] : shapes) params.push_back({name, std::move(shape)});
  return params;
}

std::vector<Param> all_params(const models::stable_diffusion::Config& config) {
  models::unet::UNet unet(config.unet);
  models::autoencoder_kl::AutoencoderKL autoencoder(config.autoencoder);
  const bool two = config.text.size() > 1;
  std::vector<Param> params =
      text_params(config.text[0], two ? "conditioner.embedders.0.transformer.text_model."
                                      : "cond_stage_model.transformer.text_model.");
  const auto add = [&](const std::vector<Param>& more) {
    params.insert(params.end(), more.begin(), more.end());
  };
  if (two) add(text_params(config.text[1], "conditioner.embedders.1.model."));
  add(nn::name_params(autoencoder, "first_stage_model"));
  add(nn::name_params(unet, "model.diffusion_model"));
  return params;
}

std::string header_of(const std::vector<Param>& params, graph::DType dtype) {
  json::object header;
  uint64_t end = 0;
  for (const Param& param : params) {
    const uint64_t begin = end;
    end += static_cast<uint64_t>(graph::element_count(param.shape)) * sizeof(uint16_t);
    header.emplace(param.name,
                   json::object{{"dtype", graph::dtype_name(dtype)},
                                {"shape", json::array(param.shape.begin(), param.shape.end())},
                                {"data_offsets", {begin, end}}});
  }
  std::string text = json::serialize(header);
  constexpr size_t kAlignment = 64;  // of the tensors' bytes behind the length and the header
  const size_t begin = sizeof(uint64_t) + text.size();
  text.append((kAlignment - begin % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace

namespace {

using models::unet::Config;

models::stable_diffusion::Config sd15_config() {
  models::stable_diffusion::Config config;
  config.text.emplace_back();
  config.unet.levels = {Config::level(320, 2, 1), Config::level(640, 2, 1),
                        Config::level(1280, 2, 1), Config::level(1280, 2, 0)};
  return config;
}

models::stable_diffusion::Config sdxl_config() {
  models::stable_diffusion::Config config;
  TextConfig clip_l, big_g;
  clip_l.last_but_one = big_g.last_but_one = big_g.zero_padding = true;
  big_g.network = {.size = 1280,
                   .layers = 32,
                   .heads = 20,
                   .intermediate = 5120,
                   .quick_gelu = false,
                   .pooled = 1280};
  config.text = {clip_l, big_g};
  config.facts = models::stable_diffusion::Config::kFactsOfBase;
  config.unet.levels = {Config::level(320, 2, 0), Config::level(640, 2, 2),
                        Config::level(1280, 2, 10)};
  config.unet.middle_depth = 10;
  config.unet.context = 2048;
  config.unet.vector = 2816;
  config.unet.head_size = 64;
  config.autoencoder.scale = 0.13025F;
  config.side = 1024;
  return config;
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all{{"sd15", "Stable Diffusion 1.5", sd15_config()},
                                       {"sdxl", "SDXL", sdxl_config()}};
  return all;
}

Status write_random_weights(const std::filesystem::path& path,
                            const models::stable_diffusion::Config& config, graph::DType dtype) {
  const auto failed = [&] {
    return Error{ErrorCode::kIo, fmt::format("cannot write the random weights to {}: {}",
                                             path.string(), std::strerror(errno))};
  };
  std::filesystem::path part = path;
  part += ".part";
  std::ofstream file(part, std::ios::binary);
  const std::vector<Param> params = all_params(config);
  const std::string header = header_of(params, dtype);
  const uint64_t header_size = header.size();
  file.write(reinterpret_cast<const char*>(&header_size), sizeof header_size);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));

  const NormalTable normal = normal_table();
  uint64_t counter = 0;
  std::vector<uint16_t> values;
  for (const Param& param : params) {
    const auto [mean, deviation] = distribution_of(param);
    std::array<uint16_t, std::tuple_size_v<NormalTable>> table;
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = to_bits(mean + deviation * normal[i], dtype);
    const auto count = static_cast<size_t>(graph::element_count(param.shape));
    const size_t draws = (count + kPerDraw - 1) / kPerDraw;
    values.resize(draws * kPerDraw);
#pragma omp parallel for
    for (size_t draw = 0; draw < draws; ++draw) {
      uint64_t bits = mix((counter + draw) * 0x9E3779B97F4A7C15);
      for (size_t i = 0; i < kPerDraw; ++i, bits >>= kTableBits) {
        values[draw * kPerDraw + i] = table[bits % table.size()];
      }
    }
    counter += draws;
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(count * sizeof(uint16_t)));
  }
  file.close();
  if (!file) return failed();
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) return failed();
  return {};
}

}  // namespace safelight::bench
