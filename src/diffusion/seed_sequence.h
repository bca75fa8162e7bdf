#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace safelight::diffusion {

/// numpy.random.SeedSequence(entropy, spawn_key=..., pool_size=...).generate_state(words):
/// O'Neill's seed_seq_fe.
std::vector<uint32_t> seed_sequence_state(uint64_t entropy, const std::vector<uint64_t>& spawn_key,
                                          size_t pool_size, size_t words);

}  // namespace safelight::diffusion
