#include "base/random.h"

#include <array>
#include <cmath>

#include "base/box_muller.h"

namespace safelight {
namespace {

/// 24 random bits in [0, 1), as at::uniform_real_distribution<float>.
float uniform_float(std::mt19937& engine) {
  return static_cast<float>(engine() & 0xFFFFFFU) * 0x1p-24F;
}

using PhiloxCounter = std::array<uint32_t, 4>;

PhiloxCounter philox_4x32_10(PhiloxCounter c, uint64_t seed) {
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

}  // namespace

void TorchGenerator::randn(std::span<float> out) {
  if (out.size() < 16) {
    for (float& value : out) value = static_cast<float>(next_normal());
    return;
  }
  for (float& value : out) value = uniform_float(engine_);
  box_muller(out.first(out.size() / 16 * 16));
  if (out.size() % 16 != 0) {  // torch draws the last sixteen anew
    const std::span<float> last = out.last(16);
    for (float& value : last) value = uniform_float(engine_);
    box_muller(last);
  }
}

double TorchGenerator::uniform_double() {
  const uint64_t high = engine_(), low = engine_();
  return static_cast<double>((high << 32 | low) & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

double TorchGenerator::next_normal() {
  if (spare_) {
    const double value = *spare_;
    spare_.reset();
    return value;
  }
  const double angle = 2 * M_PI * uniform_double();
  const double radius = std::sqrt(-2 * std::log1p(-uniform_double()));
  spare_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void PhiloxGenerator::randn(std::span<float> out) {
  constexpr double kUnit = 2.3283064e-10F,
                   kUnitAngle = 2.3283064e-10F * 6.2831855F;  // 2^-32 as CUDA has it
  for (size_t i = 0; i < out.size(); ++i) {
    const PhiloxCounter bits = philox_4x32_10({offset_, 0, static_cast<uint32_t>(i), 0}, seed_);
    const double u = bits[0] * kUnit + kUnit / 2, v = bits[1] * kUnitAngle + kUnitAngle / 2;
    out[i] = static_cast<float>(std::sqrt(-2 * std::log(u)) * std::sin(v));
  }
  ++offset_;
}

uint32_t random_seed() {
  std::random_device device;
  return std::uniform_int_distribution<uint32_t>(0, 0xFFFFFFFEU)(device);
}

}  // namespace safelight
