// Random numbers against torch, CUDA's Philox, numpy and torchsde, recorded by
// tools/reference/record_random.py.
#include "base/random.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "diffusion/brownian.h"
#include "diffusion/noise.h"
#include "diffusion/seed_sequence.h"

namespace safelight {
namespace {

namespace json = boost::json;

const json::object& recorded() {
  static const json::value kData = *parse_json(
      *read_file(std::string(SAFELIGHT_SOURCE_DIR) + "/tests/golden/data/random/random.json"));
  return kData.get_object();
}

uint64_t number(const json::value& text) { return std::stoull(std::string(text.as_string())); }

std::string hex(const void* data, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i)
    text += fmt::format("{:02x}", static_cast<const uint8_t*>(data)[i]);
  return text;
}

std::string sha256(std::span<const float> values) {
  uint8_t digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(digest, reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes());
  return hex(digest, sizeof digest);
}

void expect_bits(std::span<const float> got, const json::object& want) {
  EXPECT_EQ(hex(got.data(), std::min<size_t>(got.size(), 4) * 4),
            std::string(want.at("first").as_string()));
  EXPECT_EQ(sha256(got), std::string(want.at("sha256").as_string()));
}

template <class Generator>
void check_generator(const char* key) {
  for (const json::value& entry : recorded().at(key).as_array()) {
    const json::object& sequence = entry.as_object();
    Generator generator(number(sequence.at("seed")));
    for (const json::value& call : sequence.at("calls").as_array()) {
      std::vector<float> values(call.as_object().at("n").to_number<size_t>());
      SCOPED_TRACE(fmt::format("seed {} n {}", number(sequence.at("seed")), values.size()));
      generator.randn(values);
      expect_bits(values, call.as_object());
    }
  }
}

TEST(Random, TorchNormalsBitForBit) { check_generator<TorchGenerator>("torch"); }
TEST(Random, PhiloxNormalsBitForBit) { check_generator<PhiloxGenerator>("philox"); }

TEST(Random, NumpySeedSequence) {
  for (const json::value& entry : recorded().at("seed_sequence").as_array()) {
    const json::object& want = entry.as_object();
    std::vector<uint64_t> key;
    for (const json::value& part : want.at("spawn_key").as_array()) key.push_back(number(part));
    const json::array& state = want.at("state").as_array();
    const auto got = diffusion::seed_sequence_state(
        number(want.at("entropy")), key, want.at("pool_size").to_number<size_t>(), state.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], state[i].to_number<uint32_t>());
  }
}

TEST(Random, BrownianTreeBitForBit) {
  for (const json::value& entry : recorded().at("brownian").as_array()) {
    const json::object& want = entry.as_object();
    std::vector<uint64_t> seeds;
    for (const json::value& seed : want.at("seeds").as_array()) seeds.push_back(number(seed));
    diffusion::BrownianNoise noise(
        json::value_to<std::vector<int64_t>>(want.at("shape")), seeds,
        want.at("sigma_min").to_number<float>(), want.at("sigma_max").to_number<float>(),
        want.at("source") == "nv" ? diffusion::NoiseSource::kNv : diffusion::NoiseSource::kCpu);
    for (const json::value& query : want.at("queries").as_array()) {
      const auto from = query.at("from").to_number<float>(), to = query.at("to").to_number<float>();
      SCOPED_TRACE(fmt::format("{} to {}", from, to));
      expect_bits(noise(from, to).data, query.as_object());
    }
  }
}

TEST(Random, APictureOfABatchHasTheNoiseOfASingleRun) {
  for (const auto source : {diffusion::NoiseSource::kCpu, diffusion::NoiseSource::kNv}) {
    diffusion::ImageNoise batch({.shape = {4, 6, 5}, .seeds = {7, 8, 9}, .source = source});
    diffusion::ImageNoise single({.shape = {4, 6, 5}, .seeds = {8}, .source = source});
    for (int draw = 0; draw < 3; ++draw) {
      const Tensor all = draw == 0 ? batch.first() : batch.next(),
                   one = draw == 0 ? single.first() : single.next();
      EXPECT_TRUE(std::equal(one.begin(), one.end(), all.begin() + one.size()));
    }
  }
}

}  // namespace
}  // namespace safelight
