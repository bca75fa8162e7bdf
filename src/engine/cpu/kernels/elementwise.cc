#include <algorithm>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/parallel.h"
#include "engine/cpu/kernels/runs.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kGrain = 8192;  // elements below which a second thread costs more than it gains

/// One element as float32.
float load_element(Buffer from) {
  float value;
  return *read_f32(from, 1, &value);
}

void store_element(Buffer to, float value) {
  float block = value;
  *target_f32(to, &block) = value;
  write_f32(to, 1, &block);
}

/// n elements at any distance as contiguous float32; a distance of 1 or 0 needs no copy of float32
/// (see step_of).
const float* gather(Buffer from, int64_t stride, int64_t n, float* block) {
  if (stride == 1) return read_f32(from, n, block);
  if (stride == 0) return read_f32(from, 1, block);
  for (int64_t i = 0; i < n; ++i) block[i] = load_element(from.at(i * stride));
  return block;
}

int step_of(int64_t stride) { return stride == 0 ? 0 : 1; }

float* scatter_target(Buffer to, int64_t stride, float* block) {
  return stride == 1 ? target_f32(to, block) : block;
}

void scatter(Buffer to, int64_t stride, int64_t n, const float* block) {
  if (stride == 1) return write_f32(to, n, block);
  for (int64_t i = 0; i < n; ++i) store_element(to.at(i * stride), block[i]);
}

/// Calls body(offset, count) for blocks of a run of n elements.
template <class Body>
void for_each_block(int64_t n, Body body) {
  for (int64_t i = 0; i < n; i += kBlock) body(i, std::min(kBlock, n - i));
}

}  // namespace

void unary(const Unary& function, const StridedView& from, const StridedView& to) {
  const RunLoop<2> loop({&to, &from});
  parallel_for(loop.runs(), std::max<int64_t>(1, kGrain / loop.length()),
               [&](int64_t begin, int64_t end) {
                 float in[kBlock], out[kBlock];
                 loop.for_each(begin, end, [&](const std::array<int64_t, 2>& offsets) {
                   for_each_block(loop.length(), [&](int64_t i, int64_t n) {
                     const Buffer source = from.buffer.at(offsets[1] + i * loop.stride(1));
                     const Buffer target = to.buffer.at(offsets[0] + i * loop.stride(0));
                     float* result = scatter_target(target, loop.stride(0), out);
                     if (loop.stride(1) == 0) {
                       std::fill_n(in, n, load_element(source));
                       apply(function, in, result, n);
                     } else {
                       apply(function, gather(source, loop.stride(1), n, in), result, n);
                     }
                     scatter(target, loop.stride(0), n, out);
                   });
                 });
               });
}

void binary(BinaryFunction function, const Unary& after, const StridedView& a, const StridedView& b,
            const StridedView& to) {
  const RunLoop<3> loop({&to, &a, &b});
  parallel_for(loop.runs(), std::max<int64_t>(1, kGrain / loop.length()),
               [&](int64_t begin, int64_t end) {
                 float x[kBlock], y[kBlock], out[kBlock];
                 loop.for_each(begin, end, [&](const std::array<int64_t, 3>& offsets) {
                   for_each_block(loop.length(), [&](int64_t i, int64_t n) {
                     const Buffer target = to.buffer.at(offsets[0] + i * loop.stride(0));
                     const float* left =
                         gather(a.buffer.at(offsets[1] + i * loop.stride(1)), loop.stride(1), n, x);
                     const float* right =
                         gather(b.buffer.at(offsets[2] + i * loop.stride(2)), loop.stride(2), n, y);
                     float* result = scatter_target(target, loop.stride(0), out);
                     combine(function, left, step_of(loop.stride(1)), right,
                             step_of(loop.stride(2)), result, n);
                     if (after.function != UnaryFunction::kIdentity)
                       apply(after, result, result, n);
                     scatter(target, loop.stride(0), n, out);
                   });
                 });
               });
}

void geglu(const Rows& x, const Rows& out) {
  parallel_for(out.rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(out.columns, 1)),
               [&](int64_t begin, int64_t end) {
                 float values[kBlock], gates[kBlock], block[kBlock];
                 for (int64_t r = begin; r < end; ++r) {
                   for_each_block(out.columns, [&](int64_t i, int64_t n) {
                     const Buffer source = x.buffer.at(r * x.stride + i);
                     const Buffer target = out.buffer.at(r * out.stride + i);
                     gate(read_f32(source, n, values), read_f32(source.at(out.columns), n, gates),
                          target_f32(target, block), n);
                     write_f32(target, n, block);
                   });
                 }
               });
}

}  // namespace safelight::engine::cpu
