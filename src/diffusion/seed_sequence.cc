#include "diffusion/seed_sequence.h"

#include <stdexcept>

namespace safelight::diffusion {
namespace {

/// The non-zero 32-bit words of a number, least first; one word for zero.
void append_words(uint64_t number, std::vector<uint32_t>& words) {
  words.push_back(static_cast<uint32_t>(number));
  if (number >> 32) words.push_back(static_cast<uint32_t>(number >> 32));
}

/// Multiplicative hashing whose constant moves on with each value.
class Hash {
 public:
  Hash(uint32_t constant, uint32_t multiplier) : constant_(constant), multiplier_(multiplier) {}
  uint32_t operator()(uint32_t value) {
    value ^= constant_;
    constant_ *= multiplier_;
    value *= constant_;
    return value ^ (value >> 16);
  }

 private:
  uint32_t constant_, multiplier_;
};

uint32_t mix(uint32_t x, uint32_t y) {
  const uint32_t mixed = 0xCA01F9DDU * x - 0x4973F715U * y;
  return mixed ^ (mixed >> 16);
}

}  // namespace

std::vector<uint32_t> seed_sequence_state(uint64_t entropy, const std::vector<uint64_t>& spawn_key,
                                          size_t pool_size, size_t words) {
  if (pool_size == 0)
    throw std::invalid_argument("seed_sequence_state: the pool must hold something");
  std::vector<uint32_t> input;
  append_words(entropy, input);
  if (!spawn_key.empty() && input.size() < pool_size) input.resize(pool_size, 0);
  for (const uint64_t key : spawn_key) append_words(key, input);

  Hash hash(0x43B0D7E5U, 0x931E8875U);
  std::vector<uint32_t> pool(pool_size);
  for (size_t i = 0; i < pool_size; ++i) pool[i] = hash(i < input.size() ? input[i] : 0);
  for (size_t source = 0; source < pool_size; ++source) {
    for (size_t target = 0; target < pool_size; ++target) {
      if (source != target) pool[target] = mix(pool[target], hash(pool[source]));
    }
  }
  for (size_t source = pool_size; source < input.size(); ++source) {
    for (uint32_t& target : pool) target = mix(target, hash(input[source]));
  }

  Hash output(0x8B51F9DDU, 0x58F38DEDU);
  std::vector<uint32_t> state(words);
  for (size_t i = 0; i < words; ++i) state[i] = output(pool[i % pool_size]);
  return state;
}

}  // namespace safelight::diffusion
