// Weights in a file's own type as float32 vectors, once per Highway target: included by files that
// use foreach_target.h.
#if defined(SAFELIGHT_FILE_WEIGHTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_FILE_WEIGHTS_INL
#undef SAFELIGHT_FILE_WEIGHTS_INL
#else
#define SAFELIGHT_FILE_WEIGHTS_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/kernels/tile_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

constexpr int64_t kMaxPanelDepth = 160;

template <WeightFormat kFormat>
constexpr auto kSize = static_cast<int64_t>(weight_size(kFormat));

/// 16-bit elements, as many as `d` has lanes, as float32.
template <WeightFormat kFormat, class Floats, class Halves>
HWY_INLINE hn::Vec<Floats> Widen16(Floats d, Halves halves) {
  if constexpr (kFormat == WeightFormat::kF16) {
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, Floats>(), halves));
  } else {
    const hn::RebindToUnsigned<Floats> du;
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, halves)));
  }
}

/// As many elements at any byte as `d` has lanes.
template <WeightFormat kFormat, class Floats>
HWY_INLINE hn::Vec<Floats> LoadWeights(Floats d, const std::byte* from) {
  if constexpr (kFormat == WeightFormat::kF32) {
    return hn::LoadU(d, reinterpret_cast<const float*>(from));
  } else {
    const hn::Rebind<uint16_t, Floats> half;
    return Widen16<kFormat>(d, hn::LoadU(half, reinterpret_cast<const uint16_t*>(from)));
  }
}

#if HWY_TARGET != HWY_SCALAR

/// Eight of them.
template <WeightFormat kFormat, size_t kWidth = std::min<size_t>(8, hn::MaxLanes(D()))>
HWY_INLINE void StoreWidened(hn::Vec<hn::FixedTag<uint16_t, 8>> halves, float* to) {
  using Floats = hn::FixedTag<float, kWidth>;
  const Floats d;
  if constexpr (kWidth == 8) {
    hn::Store(Widen16<kFormat>(d, halves), d, to);
  } else {
    const hn::Rebind<uint16_t, Floats> half;
    hn::Store(Widen16<kFormat>(d, hn::LowerHalf(halves)), d, to);
    hn::Store(Widen16<kFormat>(d, hn::UpperHalf(half, halves)), d, to + kWidth);
  }
}

/// to[place(k) * stride + j] = element first + k of row j, for eight rows of 16-bit elements and
/// eight k.
template <WeightFormat kFormat, class Place>
HWY_INLINE void WidenSquare(const std::byte* const rows[8], int64_t first, float* to,
                            int64_t stride, Place place) {
  const int64_t offset = first * kSize<kFormat>;
  const hn::FixedTag<uint16_t, 8> d16;
  const hn::FixedTag<uint32_t, 4> d32;
  const hn::FixedTag<uint64_t, 2> d64;
  using Halves = hn::Vec<decltype(d16)>;
  Halves pairs[2][4];  // of rows, the lower and the upper four k
#pragma GCC unroll 4
  for (int64_t p = 0; p < 4; ++p) {
    const auto a = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(rows[2 * p] + offset));
    const auto b = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(rows[2 * p + 1] + offset));
    pairs[0][p] = hn::InterleaveLower(d16, a, b);
    pairs[1][p] = hn::InterleaveUpper(d16, a, b);
  }
#pragma GCC unroll 2
  for (int64_t half = 0; half < 2; ++half) {
    const auto p0 = hn::BitCast(d32, pairs[half][0]), p1 = hn::BitCast(d32, pairs[half][1]),
               p2 = hn::BitCast(d32, pairs[half][2]), p3 = hn::BitCast(d32, pairs[half][3]);
    const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d32, p0, p1)),
               high01 = hn::BitCast(d64, hn::InterleaveUpper(d32, p0, p1)),
               low23 = hn::BitCast(d64, hn::InterleaveLower(d32, p2, p3)),
               high23 = hn::BitCast(d64, hn::InterleaveUpper(d32, p2, p3));
    const auto store = [&](int64_t k, hn::Vec<decltype(d64)> column) HWY_ATTR {
      StoreWidened<kFormat>(hn::BitCast(d16, column), to + place(4 * half + k) * stride);
    };
    store(0, hn::InterleaveLower(d64, low01, low23));
    store(1, hn::InterleaveUpper(d64, low01, low23));
    store(2, hn::InterleaveLower(d64, high01, high23));
    store(3, hn::InterleaveUpper(d64, high01, high23));
  }
}

/// Eight rows of 16-bit elements as columns: to[place(k) * stride + j] = rows[j][k], k < depth
/// rounded up to a multiple of eight.
template <WeightFormat kFormat, class Place>
HWY_INLINE void WidenEightRows(const std::byte* const rows[8], int64_t depth, float* to,
                               int64_t stride, Place place) {
  int64_t k = 0;
  const auto place_here = [&](int64_t i) HWY_ATTR { return place(k + i); };
  for (; k + 8 <= depth; k += 8) WidenSquare<kFormat>(rows, k, to, stride, place_here);
  if (k == depth) return;
  std::byte tails[8][16] = {};
  const std::byte* tail_rows[8];
  for (int j = 0; j < 8; ++j) {
    std::memcpy(tails[j], rows[j] + k * kSize<kFormat>,
                static_cast<size_t>((depth - k) * kSize<kFormat>));
    tail_rows[j] = tails[j];
  }
  WidenSquare<kFormat>(tail_rows, 0, to, stride, place_here);
}

HWY_INLINE void TransposeEightRows(const std::byte* const rows[8], int64_t depth,
                                   const int64_t* order, float* to, int64_t stride) {
  HWY_ALIGN float aligned[4][kMaxPanelDepth];
  const float* four[4] = {aligned[0], aligned[1], aligned[2], aligned[3]};
  for (int first = 0; first < 8; first += 4) {
    for (int j = 0; j < 4; ++j) {
      std::memcpy(aligned[j], rows[first + j], static_cast<size_t>(depth) * sizeof(float));
    }
    if (order == nullptr) {
      TransposeFour(four, depth, to + first, stride);
      continue;
    }
    for (int64_t k = 0; k < depth; ++k) {
      for (int j = 0; j < 4; ++j) to[order[k] * stride + first + j] = aligned[j][k];
    }
  }
}

/// Rows [first, first + width) of the weight, columns [first_k, first_k + depth), as a panel
/// to[depth][width]; column k becomes row order[k] where there is an order, which goes on to the
/// next multiple of eight. Zero for rows beyond the last. Width is a multiple of eight (of vectors,
/// where there are none of four); the panel has room for a depth that is one, too.
template <WeightFormat kFormat>
HWY_INLINE void WidenPanel(const FileMatrix& weight, int64_t first, int64_t first_k, int64_t depth,
                           const int64_t* order, float* to, int64_t width) {
  static constexpr std::byte kZeros[kMaxPanelDepth * sizeof(float)] = {};
  for (int64_t column = 0; column < width; column += 8) {
    const std::byte* rows[8];
    for (int64_t j = 0; j < 8; ++j) {
      const int64_t row = first + column + j;
      rows[j] = row < weight.rows ? weight.data + (row * weight.columns + first_k) * kSize<kFormat>
                                  : kZeros;
    }
    if constexpr (kFormat == WeightFormat::kF32) {
      TransposeEightRows(rows, depth, order, to + column, width);
    } else if (order != nullptr) {
      const auto place = [order](int64_t k) HWY_ATTR { return order[k]; };
      WidenEightRows<kFormat>(rows, depth, to + column, width, place);
    } else {
      const auto place = [](int64_t k) HWY_ATTR { return k; };
      WidenEightRows<kFormat>(rows, depth, to + column, width, place);
    }
  }
}

#else

template <WeightFormat kFormat>
void WidenPanel(const FileMatrix& weight, int64_t first, int64_t first_k, int64_t depth,
                const int64_t* order, float* to, int64_t width) {
  const D d;
  for (int64_t column = 0; column < width; ++column) {
    const int64_t row = first + column;
    const std::byte* from = weight.data + (row * weight.columns + first_k) * kSize<kFormat>;
    for (int64_t k = 0; k < depth; ++k) {
      const V value =
          row < weight.rows ? LoadWeights<kFormat>(d, from + k * kSize<kFormat>) : hn::Zero(d);
      hn::Store(value, d, to + (order != nullptr ? order[k] : k) * width + column);
    }
  }
}

#endif

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
