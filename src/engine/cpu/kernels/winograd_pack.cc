#include <algorithm>
#include <cstring>

#include "engine/cpu/kernels/parallel.h"
#include "engine/cpu/kernels/winograd_plan.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kFilter = 9;  // weights of a filter for one input channel

int64_t panels_of(int64_t out) { return (out + kWinogradPanel - 1) / kWinogradPanel; }

/// [filters][columns] with rows `row_stride` bytes apart -> [columns][kWinogradPanel], zeros for
/// filters that are not there.
template <class Bits>
void transpose_panel(const std::byte* from, int64_t filters, int64_t columns, std::byte* to) {
  constexpr int64_t kColumns = 64 / static_cast<int64_t>(sizeof(Bits));  // a cache line of each row
  auto* const out = reinterpret_cast<Bits*>(to);
  const int64_t row_bytes = columns * static_cast<int64_t>(sizeof(Bits));
  for (int64_t first = 0; first < columns; first += kColumns) {
    const int64_t count = std::min(kColumns, columns - first);
    for (int64_t o = 0; o < kWinogradPanel; ++o) {
      Bits row[kColumns] = {};
      if (o < filters) {
        std::memcpy(row, from + o * row_bytes + first * static_cast<int64_t>(sizeof(Bits)),
                    static_cast<size_t>(count) * sizeof(Bits));
      }
      for (int64_t i = 0; i < count; ++i) out[(first + i) * kWinogradPanel + o] = row[i];
    }
  }
}

}  // namespace

size_t packed_winograd_bytes(int64_t out, int64_t in, WeightFormat format) {
  return static_cast<size_t>(panels_of(out) * in * kFilter * kWinogradPanel) * weight_size(format);
}

void pack_winograd(const std::byte* weights, WeightFormat format, int64_t out, int64_t in,
                   std::byte* packed) {
  const auto size = static_cast<int64_t>(weight_size(format));
  parallel_for(panels_of(out), 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t first = panel * kWinogradPanel, filters = std::min(kWinogradPanel, out - first);
      const std::byte* from = weights + first * in * kFilter * size;
      std::byte* to = packed + first * in * kFilter * size;
      if (format == WeightFormat::kF32) {
        transpose_panel<uint32_t>(from, filters, in * kFilter, to);
      } else {
        transpose_panel<uint16_t>(from, filters, in * kFilter, to);
      }
    }
  });
}

size_t transformed_winograd_bytes(int64_t out, int64_t in) {
  return static_cast<size_t>(panels_of(out) * kWinogradPoints *
                             winograd_point_stride(in, kWinogradPanel)) *
         sizeof(float);
}

}  // namespace safelight::engine::cpu
