#pragma once

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "engine/cpu/kernels/kernels.h"

/// What the tests of the kernels share: arrays of either storage, random choices, and the settings
/// under which each kernel is compared with plain loops in double.
namespace safelight::engine::cpu {

inline float bf16_to_float(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

/// To nearest even, bit by bit as IEEE 754 has it; no NaN.
inline uint16_t float_to_bf16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  const uint32_t rest = bits & 0xFFFF, high = bits >> 16;
  const bool up = rest > 0x8000 || (rest == 0x8000 && (high & 1) == 1);
  return static_cast<uint16_t>(high + (up ? 1 : 0));
}

/// Elements of one storage in memory of just their size, so that a sanitizer sees every step
/// outside.
class Array {
 public:
  Array(int64_t elements, Storage storage)
      : storage_(storage), bytes_(static_cast<size_t>(elements) * storage_size(storage)) {}

  int64_t size() const { return static_cast<int64_t>(bytes_.size() / storage_size(storage_)); }
  Buffer buffer() { return {bytes_.data(), storage_}; }
  std::vector<double> values() const {
    std::vector<double> result;
    for (int64_t i = 0; i < size(); ++i) result.push_back((*this)[i]);
    return result;
  }
  float* floats() { return reinterpret_cast<float*>(bytes_.data()); }

  float operator[](int64_t i) const {
    if (storage_ == Storage::kF32) return reinterpret_cast<const float*>(bytes_.data())[i];
    return bf16_to_float(reinterpret_cast<const uint16_t*>(bytes_.data())[i]);
  }
  void set(int64_t i, float value) {
    if (storage_ == Storage::kF32) {
      reinterpret_cast<float*>(bytes_.data())[i] = value;
    } else {
      reinterpret_cast<uint16_t*>(bytes_.data())[i] = float_to_bf16(value);
    }
  }

 private:
  Storage storage_;
  std::vector<std::byte> bytes_;
};

/// One comparison: random choices, the storage of inputs and outputs, and a number of threads in
/// force.
class Trial {
 public:
  Trial(uint32_t seed, Storage inputs, Storage outputs)
      : from(inputs), to(outputs), generator_(seed) {}

  const Storage from, to;  ///< of inputs and outputs

  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator_);
  }
  bool chance() { return between(0, 1) == 1; }

  Array normal(int64_t elements, Storage storage, float deviation = 1, float mean = 0) {
    Array array(elements, storage);
    std::normal_distribution<float> distribution(mean, deviation);
    for (int64_t i = 0; i < elements; ++i) array.set(i, distribution(generator_));
    return array;
  }
  Array input(int64_t elements, float deviation = 1, float mean = 0) {
    return normal(elements, from, deviation, mean);
  }
  Array floats(int64_t elements, float deviation = 1, float mean = 0) {
    return normal(elements, Storage::kF32, deviation, mean);
  }
  /// Where a kernel is to write: filled with what it must not leave or read.
  Array output(int64_t elements) const {
    Array array(elements, to);
    for (int64_t i = 0; i < elements; ++i) array.set(i, -12345.0F);
    return array;
  }

  /// The normalised squared error of got[i] against want[i] is that of rounding alone: at most
  /// (2^-8)^2 in bf16.
  void expect_close(const Array& got, const std::vector<double>& want) const {
    ASSERT_EQ(got.size(), static_cast<int64_t>(want.size()));
    double error = 0, power = 1e-30;
    for (int64_t i = 0; i < got.size(); ++i) {
      const double difference = got[i] - want[static_cast<size_t>(i)];
      error += difference * difference;
      power += want[static_cast<size_t>(i)] * want[static_cast<size_t>(i)];
    }
    EXPECT_LE(error / power, to == Storage::kF32 ? 2e-12 : 1.6e-5);
  }

 private:
  std::mt19937 generator_;
};

/// Runs body(trial) `rounds` times for every combination of storages and for teams of 1 to 3
/// threads.
inline void for_trials(int rounds, const std::function<void(Trial&)>& body) {
  const int threads = omp_get_max_threads();
  uint32_t seed = 0;
  for (const Storage from : {Storage::kF32, Storage::kBF16}) {
    for (const Storage to : {Storage::kF32, Storage::kBF16}) {
      for (int round = 0; round < rounds; ++round) {
        omp_set_num_threads(1 + round % 3);
        Trial trial(++seed, from, to);
        SCOPED_TRACE(::testing::Message()
                     << (from == Storage::kF32 ? "f32" : "bf16") << " to "
                     << (to == Storage::kF32 ? "f32" : "bf16") << ", round " << round);
        body(trial);
      }
    }
  }
  omp_set_num_threads(threads);
}

/// x / 2 * erfc(-x / sqrt 2) in double.
inline double exact_gelu(double x) { return x / 2 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace safelight::engine::cpu
