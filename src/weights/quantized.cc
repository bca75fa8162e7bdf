#include "weights/quantized.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "weights/half.h"

namespace safelight::weights {
namespace {

using graph::DType;
using Block = const uint8_t*;

// The layouts are those of ggml-common.h; the order of the elements that of ggml-quants.c.
constexpr size_t kSmall = 32, kLarge = 256;

/// The numbers that IQ4_NL and IQ4_XS choose from.
constexpr std::array<int8_t, 16> kNonLinear = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

template <class T>
T read(Block at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}
float half(Block at) { return f16_to_f32(read<uint16_t>(at)); }

/// The e-th of 32 numbers of 4 bits: low halves of 16 bytes first, then the high ones.
int nibble(Block bytes, size_t e) { return bytes[e % 16] >> (e / 16 * 4) & 15; }

/// The e-th of 256 numbers of 4 bits: low halves of 32 bytes, their high halves, the next 32 bytes.
int nibble_of_large(Block bytes, size_t e) {
  return bytes[e / 64 * 32 + e % 32] >> (e / 32 % 2 * 4) & 15;
}

/// The e-th of 256 numbers of 2 bits: four runs through 32 bytes, then through the next 32.
int pair_of_large(Block bytes, size_t e) {
  return bytes[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3;
}

void q4_0(Block block, float* out) {
  const float d = half(block);
  for (size_t e = 0; e < kSmall; ++e) out[e] = d * static_cast<float>(nibble(block + 2, e) - 8);
}

void q4_1(Block block, float* out) {
  const float d = half(block), m = half(block + 2);
  for (size_t e = 0; e < kSmall; ++e) out[e] = d * static_cast<float>(nibble(block + 4, e)) + m;
}

/// The e-th of 32 numbers of 5 bits, whose highest bits stand before the others.
int five_bits(Block high, size_t e) {
  const auto bits = read<uint32_t>(high);
  return nibble(high + 4, e) | static_cast<int>(bits >> e & 1) << 4;
}

void q5_0(Block block, float* out) {
  const float d = half(block);
  for (size_t e = 0; e < kSmall; ++e) out[e] = d * static_cast<float>(five_bits(block + 2, e) - 16);
}

void q5_1(Block block, float* out) {
  const float d = half(block), m = half(block + 2);
  for (size_t e = 0; e < kSmall; ++e) out[e] = d * static_cast<float>(five_bits(block + 4, e)) + m;
}

void q8_0(Block block, float* out) {
  const float d = half(block);
  for (size_t e = 0; e < kSmall; ++e) {
    out[e] = static_cast<float>(static_cast<int8_t>(block[2 + e])) * d;
  }
}

void q2_k(Block block, float* out) {
  const Block scales = block, quants = block + 16;
  const float d = half(block + 80), dmin = half(block + 82);
  for (size_t e = 0; e < kLarge; ++e) {
    const float scale = d * static_cast<float>(scales[e / 16] & 15);
    const float least = dmin * static_cast<float>(scales[e / 16] >> 4);
    out[e] = scale * static_cast<float>(pair_of_large(quants, e)) - least;
  }
}

void q3_k(Block block, float* out) {
  const Block high = block, quants = block + 32, scales = block + 96;
  const float d = half(block + 108);
  std::array<float, 16> scale;
  for (size_t i = 0; i < scale.size(); ++i) {
    const int low = scales[i % 8] >> (i / 8 * 4) & 15;
    const int top = scales[8 + i % 4] >> (i / 4 * 2) & 3;
    scale[i] = d * static_cast<float>((low | top << 4) - 32);
  }
  for (size_t e = 0; e < kLarge; ++e) {
    const int set = high[e % 32] >> (e / 32) & 1;
    const int q = pair_of_large(quants, e) - (set != 0 ? 0 : 4);
    out[e] = scale[e / 16] * static_cast<float>(q);
  }
}

/// Scales and least values of eight groups, 6 bits each in 12 bytes.
struct GroupScales {
  std::array<float, 8> scale, least;

  GroupScales(Block packed, float d, float dmin) {
    for (size_t j = 0; j < 4; ++j) {
      const int both = packed[8 + j];
      set(j, d, packed[j] & 63, dmin, packed[4 + j] & 63);
      set(4 + j, d, (both & 15) | (packed[j] >> 2 & 0x30), dmin,
          both >> 4 | (packed[4 + j] >> 2 & 0x30));
    }
  }

 private:
  void set(size_t group, float d, int s, float dmin, int m) {
    scale[group] = d * static_cast<float>(s);
    least[group] = dmin * static_cast<float>(m);
  }
};

void q4_k(Block block, float* out) {
  const GroupScales groups(block + 4, half(block), half(block + 2));
  for (size_t e = 0; e < kLarge; ++e) {
    const auto q = static_cast<float>(nibble_of_large(block + 16, e));
    out[e] = groups.scale[e / 32] * q - groups.least[e / 32];
  }
}

void q5_k(Block block, float* out) {
  const GroupScales groups(block + 4, half(block), half(block + 2));
  const Block high = block + 16;
  for (size_t e = 0; e < kLarge; ++e) {
    const int q = nibble_of_large(block + 48, e) | (high[e % 32] >> (e / 32) & 1) << 4;
    out[e] = groups.scale[e / 32] * static_cast<float>(q) - groups.least[e / 32];
  }
}

void q6_k(Block block, float* out) {
  const Block low = block, high = block + 128, scales = block + 192;
  const float d = half(block + 208);
  for (size_t e = 0; e < kLarge; ++e) {
    const int nibble = low[e / 128 * 64 + e % 64] >> (e / 64 % 2 * 4) & 15;
    const int q = (nibble | pair_of_large(high, e) << 4) - 32;
    const float scale = d * static_cast<float>(static_cast<int8_t>(scales[e / 16]));
    out[e] = scale * static_cast<float>(q);
  }
}

void iq4_nl(Block block, float* out) {
  const float d = half(block);
  for (size_t e = 0; e < kSmall; ++e) {
    out[e] = d * static_cast<float>(kNonLinear[static_cast<size_t>(nibble(block + 2, e))]);
  }
}

void iq4_xs(Block block, float* out) {
  const float d = half(block);
  const auto high = read<uint16_t>(block + 2);
  const Block low = block + 4, quants = block + 8;
  for (size_t g = 0; g < kLarge / kSmall; ++g) {
    const int bits = (low[g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4;
    const float scale = d * static_cast<float>(bits - 32);
    for (size_t e = 0; e < kSmall; ++e) {
      const auto chosen = static_cast<size_t>(nibble(quants + g * 16, e));
      out[g * kSmall + e] = scale * static_cast<float>(kNonLinear[chosen]);
    }
  }
}

struct Kind {
  DType type;
  void (*dequantize)(Block, float*);
  std::array<int, 2> halves;  ///< where the scales are in a block; -1: none
};

constexpr std::array kKinds = {
    Kind{DType::kQ4_0, q4_0, {0, -1}},    Kind{DType::kQ4_1, q4_1, {0, 2}},
    Kind{DType::kQ5_0, q5_0, {0, -1}},    Kind{DType::kQ5_1, q5_1, {0, 2}},
    Kind{DType::kQ8_0, q8_0, {0, -1}},    Kind{DType::kQ2K, q2_k, {80, 82}},
    Kind{DType::kQ3K, q3_k, {108, -1}},   Kind{DType::kQ4K, q4_k, {0, 2}},
    Kind{DType::kQ5K, q5_k, {0, 2}},      Kind{DType::kQ6K, q6_k, {208, -1}},
    Kind{DType::kIQ4NL, iq4_nl, {0, -1}}, Kind{DType::kIQ4XS, iq4_xs, {0, -1}},
};

const Kind& kind_of(DType type) {
  const auto* found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& k) { return k.type == type; });
  if (found == kKinds.end()) throw std::logic_error("not a quantized type");
  return *found;
}

}  // namespace

void dequantize(DType type, const std::byte* source, size_t blocks, float* out) {
  const Kind& kind = kind_of(type);
  const size_t size = graph::dtype_size(type), elements = graph::dtype_block(type);
  const auto* block = reinterpret_cast<Block>(source);
  for (size_t i = 0; i < blocks; ++i, block += size, out += elements) kind.dequantize(block, out);
}

bool has_non_finite_scale(DType type, Bytes data) {
  const Kind& kind = kind_of(type);
  const size_t size = graph::dtype_size(type);
  const auto* block = reinterpret_cast<Block>(data.data());
  for (size_t i = 0; i < data.size() / size; ++i, block += size) {
    for (const int at : kind.halves) {
      if (at >= 0 && (read<uint16_t>(block + at) & 0x7C00) == 0x7C00) return true;
    }
  }
  return false;
}

void quantize_q8_0(std::span<const float> values, std::byte* out) {
  for (; !values.empty(); values = values.subspan(kSmall)) {
    float largest = 0;
    for (const float value : values.first(kSmall)) largest = std::max(largest, std::fabs(value));
    const float d = largest / 127.0F;
    // Of a subnormal the inverse is infinite, and its half is 0 anyway.
    const float inverse = std::isfinite(1.0F / d) ? 1.0F / d : 0.0F;
    const uint16_t stored = f32_to_f16(d);
    std::memcpy(out, &stored, sizeof stored);
    out += sizeof stored;
    for (const float value : values.first(kSmall)) {
      *out++ = static_cast<std::byte>(static_cast<int8_t>(std::round(value * inverse)));
    }
  }
}

}  // namespace safelight::weights
