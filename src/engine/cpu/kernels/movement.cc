#include <algorithm>
#include <cstring>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/parallel.h"
#include "engine/cpu/kernels/runs.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kGrainBytes = 65536;
constexpr int64_t kTile = 32;  // of a transposition: two tiles stay in the L1 cache

/// n contiguous elements from one storage to the other.
void copy_run(Buffer from, Buffer to, int64_t n) {
  if (from.storage == to.storage) {
    std::memcpy(to.data, from.data, static_cast<size_t>(n) * storage_size(from.storage));
  } else if (from.storage == Storage::kBF16) {
    widen(reinterpret_cast<const uint16_t*>(from.data), reinterpret_cast<float*>(to.data), n);
  } else {
    narrow(reinterpret_cast<const float*>(from.data), reinterpret_cast<uint16_t*>(to.data), n);
  }
}

template <class T>
void copy_strided(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
}

/// n elements at any distances.
void copy_spaced(Buffer from, int64_t from_stride, Buffer to, int64_t to_stride, int64_t n) {
  if (from.storage == to.storage) {
    if (from.storage == Storage::kF32) {
      return copy_strided(reinterpret_cast<const float*>(from.data), from_stride,
                          reinterpret_cast<float*>(to.data), to_stride, n);
    }
    return copy_strided(reinterpret_cast<const uint16_t*>(from.data), from_stride,
                        reinterpret_cast<uint16_t*>(to.data), to_stride, n);
  }
  for (int64_t i = 0; i < n; ++i) copy_run(from.at(i * from_stride), to.at(i * to_stride), 1);
}

/// Where `to` is contiguous along `inner` and `from` along `outer`, both of the last two of merged
/// dimensions: the plane is walked in tiles, so that each cache line is used whole.
struct Transposition {
  bool found = false;
  int inner = -1, outer = -1;
};

Transposition find_transposition(const StridedView& from, const StridedView& to) {
  Transposition plane;
  for (int d = 0; d < to.rank; ++d) {
    if (to.sizes[d] < 4) continue;
    if (to.strides[d] == 1) plane.inner = d;
    if (from.strides[d] == 1) plane.outer = d;
  }
  plane.found = plane.inner >= 0 && plane.outer >= 0 && plane.inner != plane.outer;
  return plane;
}

void copy_transposed(const StridedView& from, const StridedView& to, const Transposition& plane) {
  // The other dimensions are walked by a loop over views without the plane.
  StridedView from_rest = from, to_rest = to;
  for (const int d : {plane.inner, plane.outer}) from_rest.sizes[d] = to_rest.sizes[d] = 1;
  const RunLoop<2> rest({&to_rest, &from_rest});
  const int64_t rows = to.sizes[plane.outer], columns = to.sizes[plane.inner];
  const int64_t bands = (rows + kTile - 1) / kTile;
  const int64_t others = rest.runs() * rest.length();
  const int64_t grain = std::max<int64_t>(1, kGrainBytes / (kTile * columns * 4));
  parallel_for(others * bands, grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t other = piece / bands, top = piece % bands * kTile;
      int64_t from_base = 0, to_base = 0;
      rest.for_each(other / rest.length(), other / rest.length() + 1,
                    [&](const std::array<int64_t, 2>& offsets) {
                      to_base = offsets[0] + other % rest.length() * rest.stride(0);
                      from_base = offsets[1] + other % rest.length() * rest.stride(1);
                    });
      for (int64_t left = 0; left < columns; left += kTile) {
        const int64_t width = std::min(kTile, columns - left);
        for (int64_t r = top; r < std::min(top + kTile, rows); ++r) {
          copy_spaced(from.buffer.at(from_base + r + left * from.strides[plane.inner]),
                      from.strides[plane.inner],
                      to.buffer.at(to_base + r * to.strides[plane.outer] + left), 1, width);
        }
      }
    }
  });
}

}  // namespace

void copy(const StridedView& from, const StridedView& to) {
  const Transposition plane = find_transposition(from, to);
  if (plane.found) return copy_transposed(from, to, plane);
  const RunLoop<2> loop({&to, &from});
  const int64_t run_bytes = loop.length() * static_cast<int64_t>(storage_size(to.buffer.storage));
  parallel_for(loop.runs(), std::max<int64_t>(1, kGrainBytes / std::max<int64_t>(run_bytes, 1)),
               [&](int64_t begin, int64_t end) {
                 loop.for_each(begin, end, [&](const std::array<int64_t, 2>& offsets) {
                   const Buffer source = from.buffer.at(offsets[1]),
                                target = to.buffer.at(offsets[0]);
                   if (loop.stride(0) == 1 && loop.stride(1) == 1) {
                     copy_run(source, target, loop.length());
                   } else {
                     copy_spaced(source, loop.stride(1), target, loop.stride(0), loop.length());
                   }
                 });
               });
}

void upsample_nearest(Buffer x, Buffer out, int64_t batch, int64_t height, int64_t width,
                      int64_t channels, int factor_y, int factor_x) {
  const int64_t row = width * factor_x * channels;
  parallel_for(batch * height, std::max<int64_t>(1, kGrainBytes / (row * factor_y * 4)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   const Buffer first = out.at(r * factor_y * row);
                   for (int64_t column = 0; column < width; ++column) {
                     for (int f = 0; f < factor_x; ++f) {
                       copy_run(x.at((r * width + column) * channels),
                                first.at((column * factor_x + f) * channels), channels);
                     }
                   }
                   for (int f = 1; f < factor_y; ++f) copy_run(first, first.at(f * row), row);
                 }
               });
}

}  // namespace safelight::engine::cpu
