#include "weights/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "weights/messages.h"
#include "weights/quantized.h"

namespace safelight::weights {
namespace {

using graph::DType;

/// Four lanes, the width that every x86-64 and ARMv8 has: the compiler's vector types give vector
/// code at -O2 and the same bits on every processor.
using U16x4 [[gnu::vector_size(8)]] = uint16_t;
using U32x4 [[gnu::vector_size(16)]] = uint32_t;
using F32x4 [[gnu::vector_size(16)]] = float;
constexpr size_t kLanes = 4;

/// IEEE half to single. A subnormal half counts units of 2^-24, which is the spacing of floats in
/// [0.5, 1): no subnormal float occurs on the way, whatever the processor does with those.
inline F32x4 f16_to_f32(U16x4 halves) {
  const U32x4 half = __builtin_convertvector(halves, U32x4);
  const U32x4 magnitude = half & 0x7FFFu;
  const U32x4 exponent_shift =
      magnitude >= 0x7C00u ? U32x4{} + (224u << 23) : U32x4{} + (112u << 23);
  const U32x4 normal = (magnitude << 13) + exponent_shift;
  const F32x4 subnormal = std::bit_cast<F32x4>(magnitude | 0x3F000000u) - 0.5f;
  const U32x4 sign = (half & 0x8000u) << 16;
  return std::bit_cast<F32x4>((magnitude < 0x0400u ? std::bit_cast<U32x4>(subnormal) : normal) |
                              sign);
}

inline F32x4 bf16_to_f32(U16x4 bits) {
  return std::bit_cast<F32x4>(__builtin_convertvector(bits, U32x4) << 16);
}

inline U16x4 f32_to_bf16(F32x4 values) {
  const auto bits = std::bit_cast<U32x4>(values);
  const U32x4 rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const U32x4 nan = U32x4{} + 0x7FC0u;
  return __builtin_convertvector((bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded, U16x4);
}

inline U16x4 f16_to_bf16(U16x4 halves) { return f32_to_bf16(f16_to_f32(halves)); }

/// The 256 values of an 8-bit float with sign, `exponent_bits` and the rest mantissa
/// (Micikevicius et al. 2022, "FP8 Formats for Deep Learning"). E4M3 has no infinity and one NaN a
/// sign; E5M2 follows IEEE.
constexpr std::array<float, 256> f8_table(int exponent_bits, bool has_infinity) {
  std::array<float, 256> table{};
  const int mantissa_bits = 7 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent_mask = (1 << exponent_bits) - 1;
  const int mantissa_mask = (1 << mantissa_bits) - 1;
  for (int code = 0; code < 256; ++code) {
    const int exponent = (code >> mantissa_bits) & exponent_mask;
    const int mantissa = code & mantissa_mask;
    float magnitude = 0.0f;
    if (exponent == exponent_mask && has_infinity) {
      magnitude = mantissa == 0 ? std::numeric_limits<float>::infinity()
                                : std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == exponent_mask && mantissa == mantissa_mask) {
      magnitude = std::numeric_limits<float>::quiet_NaN();
    } else {
      magnitude = static_cast<float>(exponent == 0 ? mantissa : mantissa | (1 << mantissa_bits));
      int power = std::max(exponent, 1) - bias - mantissa_bits;
      for (; power > 0; --power) magnitude *= 2.0f;
      for (; power < 0; ++power) magnitude *= 0.5f;
    }
    table[static_cast<size_t>(code)] = code < 128 ? magnitude : -magnitude;
  }
  return table;
}

constexpr std::array<float, 256> kF8E4M3 = f8_table(4, false);
constexpr std::array<float, 256> kF8E5M2 = f8_table(5, true);

/// Converts n elements of type T at `source`, which may be unaligned, one by one.
template <class T, class Convert>
void convert_each(const std::byte* source, size_t n, float* out, Convert convert) {
  for (size_t i = 0; i < n; ++i) {
    T element;
    std::memcpy(&element, source + i * sizeof(T), sizeof(T));
    out[i] = convert(element);
  }
}

/// Converts n elements at `source`, which may be unaligned, four at a time: In and Out are vectors.
template <class In, class Out>
void convert_by_vector(const std::byte* source, size_t n, std::byte* out, Out (*convert)(In)) {
  const auto step = [&](size_t i, size_t lanes) {
    In in{};
    std::memcpy(&in, source + i * sizeof(In) / kLanes, lanes * sizeof(In) / kLanes);
    const Out converted = convert(in);
    std::memcpy(out + i * sizeof(Out) / kLanes, &converted, lanes * sizeof(Out) / kLanes);
  };
  const size_t whole = n / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) step(i, kLanes);
  if (whole < n) step(whole, n - whole);
}

/// n elements of `dtype` from `source` in float32; n > 0, for memcpy takes no null pointer.
void widen(DType dtype, const std::byte* source, size_t n, float* out) {
  const auto cast = [](auto value) { return static_cast<float>(value); };
  switch (dtype) {
    case DType::kF64:
      return convert_each<double>(source, n, out, cast);
    case DType::kF32:
      std::memcpy(out, source, n * sizeof(float));
      return;
    case DType::kF16:
      return convert_by_vector(source, n, reinterpret_cast<std::byte*>(out), f16_to_f32);
    case DType::kBF16:
      return convert_by_vector(source, n, reinterpret_cast<std::byte*>(out), bf16_to_f32);
    case DType::kF8E4M3:
      return convert_each<uint8_t>(source, n, out, [](uint8_t code) { return kF8E4M3[code]; });
    case DType::kF8E5M2:
      return convert_each<uint8_t>(source, n, out, [](uint8_t code) { return kF8E5M2[code]; });
    case DType::kI64:
      return convert_each<int64_t>(source, n, out, cast);
    case DType::kI32:
      return convert_each<int32_t>(source, n, out, cast);
    case DType::kI16:
      return convert_each<int16_t>(source, n, out, cast);
    case DType::kI8:
      return convert_each<int8_t>(source, n, out, cast);
    case DType::kU64:
      return convert_each<uint64_t>(source, n, out, cast);
    case DType::kU32:
      return convert_each<uint32_t>(source, n, out, cast);
    case DType::kU16:
      return convert_each<uint16_t>(source, n, out, cast);
    case DType::kU8:
      return convert_each<uint8_t>(source, n, out, cast);
    case DType::kBool:
      return convert_each<uint8_t>(source, n, out, [](uint8_t b) { return b != 0 ? 1.0f : 0.0f; });
    default:
      break;
  }
  throw std::logic_error("to_f32: a dtype without conversion");
}

/// Checks that shape and bytes of a view agree, and that it has `n` elements from `first` on.
void check_range(const TensorView& tensor, int64_t first, size_t n) {
  const size_t size = graph::dtype_size(tensor.dtype), block = graph::dtype_block(tensor.dtype);
  const auto count = static_cast<size_t>(tensor.count());
  const bool agree = tensor.data.size() % size == 0 && tensor.data.size() / size * block == count;
  if (agree && first >= 0 && static_cast<size_t>(first) <= count &&
      n <= count - static_cast<size_t>(first))
    return;
  throw std::logic_error(fmt::format(
      "conversion of {} elements from {} on of a {} of shape {} ({} "
      "bytes)",
      n, first, graph::dtype_name(tensor.dtype), shape_text(tensor.shape), tensor.data.size()));
}

void check_whole(const TensorView& tensor, size_t n) {
  check_range(tensor, 0, n);
  if (n != static_cast<size_t>(tensor.count()))
    throw std::logic_error("conversion to a buffer of another size");
}

/// n elements from `first` on, which may begin and end within a block.
void dequantize_range(const TensorView& tensor, size_t first, std::span<float> out) {
  const size_t size = graph::dtype_size(tensor.dtype), block = graph::dtype_block(tensor.dtype);
  std::array<float, kMaxBlock> one;
  while (!out.empty()) {
    const std::byte* source = tensor.data.data() + first / block * size;
    const size_t skipped = first % block;
    size_t done = out.size() / block * block;
    if (skipped == 0 && done > 0) {
      dequantize(tensor.dtype, source, done / block, out.data());
    } else {
      done = std::min(block - skipped, out.size());
      dequantize(tensor.dtype, source, 1, one.data());
      std::copy_n(one.begin() + static_cast<std::ptrdiff_t>(skipped), done, out.begin());
    }
    first += done;
    out = out.subspan(done);
  }
}

void multiply_scales(const TensorView& tensor, size_t first, std::span<float> out) {
  const std::vector<float>& scales = *tensor.scales;
  const size_t row = static_cast<size_t>(tensor.count()) / scales.size();
  while (!out.empty()) {
    const size_t n = std::min(out.size(), row - first % row);
    const float scale = scales[first / row];
    for (float& value : out.first(n)) value *= scale;
    first += n;
    out = out.subspan(n);
  }
}

/// Any part of a view in float32; `out` is not empty.
void widen_range(const TensorView& tensor, size_t first, std::span<float> out) {
  if (graph::is_quantized(tensor.dtype)) {
    dequantize_range(tensor, first, out);
  } else {
    widen(tensor.dtype, tensor.data.data() + first * graph::dtype_size(tensor.dtype), out.size(),
          out.data());
  }
  if (tensor.scales) multiply_scales(tensor, first, out);
}

/// Whether any element has all bits of `mask` set, which for a mask of the exponent bits means NaN
/// or infinity.
template <class T>
bool any_has_all(Bytes data, T mask) {
  using Vector [[gnu::vector_size(16)]] = T;
  const Vector wanted = Vector{} + mask;
  using Found = decltype(wanted == wanted);  // NOLINT(misc-redundant-expression)
  const auto look = [&](Bytes bytes) {
    Vector elements{};
    std::memcpy(&elements, bytes.data(), bytes.size());
    return (elements & wanted) == wanted;
  };
  const auto any = [](Found found) {
    return std::bit_cast<std::array<uint64_t, 2>>(found) != std::array<uint64_t, 2>{};
  };
  constexpr size_t kBlock = 256 * sizeof(Vector);  // Between two looks at what was found.
  for (; data.size() >= kBlock; data = data.subspan(kBlock)) {
    Found found{};
    for (size_t i = 0; i < kBlock; i += sizeof(Vector)) {
      found |= look(data.subspan(i).template first<sizeof(Vector)>());
    }
    if (any(found)) return true;
  }
  Found found{};
  for (; !data.empty(); data = data.subspan(std::min(sizeof(Vector), data.size()))) {
    found |= look(data.first(std::min(sizeof(Vector), data.size())));
  }
  return any(found);
}

}  // namespace

void to_f32(const TensorView& tensor, int64_t first, std::span<float> out) {
  check_range(tensor, first, out.size());
  if (!out.empty()) widen_range(tensor, static_cast<size_t>(first), out);
}

void to_bf16(const TensorView& tensor, int64_t first, std::span<uint16_t> out) {
  check_range(tensor, first, out.size());
  const size_t n = out.size();
  if (n == 0) return;
  std::byte* bytes = std::as_writable_bytes(out).data();
  const auto begin = static_cast<size_t>(first);
  if (!tensor.scales && !graph::is_quantized(tensor.dtype)) {
    const size_t size = graph::dtype_size(tensor.dtype);
    const std::byte* source = tensor.data.data() + begin * size;
    switch (tensor.dtype) {
      case DType::kBF16:
        std::copy_n(source, n * size, bytes);
        return;
      case DType::kF16:
        return convert_by_vector(source, n, bytes, f16_to_bf16);
      case DType::kF32:
        return convert_by_vector(source, n, bytes, f32_to_bf16);
      default:
        break;
    }
  }
  constexpr size_t kChunk = 1024;  // Stays in the first-level cache.
  std::array<float, kChunk> chunk;
  for (size_t i = 0; i < n; i += kChunk) {
    const size_t length = std::min(kChunk, n - i);
    widen_range(tensor, begin + i, {chunk.data(), length});
    convert_by_vector(std::as_bytes(std::span(chunk)).data(), length, bytes + i * sizeof(uint16_t),
                      f32_to_bf16);
  }
}

void to_f32(const TensorView& tensor, std::span<float> out) {
  check_whole(tensor, out.size());
  to_f32(tensor, 0, out);
}

void to_bf16(const TensorView& tensor, std::span<uint16_t> out) {
  check_whole(tensor, out.size());
  to_bf16(tensor, 0, out);
}

Tensor to_tensor(const TensorView& tensor) {
  Tensor host(tensor.shape);
  to_f32(tensor, host.data);
  return host;
}

bool has_non_finite(const TensorView& tensor) {
  if (graph::is_quantized(tensor.dtype)) return has_non_finite_scale(tensor.dtype, tensor.data);
  switch (tensor.dtype) {
    case DType::kF64:
      return any_has_all<uint64_t>(tensor.data, 0x7FF0000000000000u);
    case DType::kF32:
      return any_has_all<uint32_t>(tensor.data, 0x7F800000);
    case DType::kF16:
      return any_has_all<uint16_t>(tensor.data, 0x7C00);
    case DType::kBF16:
      return any_has_all<uint16_t>(tensor.data, 0x7F80);
    case DType::kF8E4M3:
      return any_has_all<uint8_t>(tensor.data, 0x7F);
    case DType::kF8E5M2:
      return any_has_all<uint8_t>(tensor.data, 0x7C);
    default:
      return false;
  }
}

}  // namespace safelight::weights
