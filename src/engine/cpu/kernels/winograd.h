#pragma once

#include <atomic>

#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/kernels/weight_format.h"

namespace safelight::engine::cpu {

/// Convolutions of 3x3 filters at stride 1 by Winograd's F(4x4, 3x3) (Lavin & Gray 2015): a quarter
/// of the multiplications of the direct way, for about 1e-6 of relative error in float32.

/// The weights of a layer, packed for winograd(). `packed` keeps the file's bits;
/// `transformed`, where memory allows, spares the transformation in each call. Either may be null.
struct WinogradWeights {
  const std::byte* packed = nullptr;   ///< pack_winograd's
  const float* transformed = nullptr;  ///< transform_winograd's
  WeightFormat format = WeightFormat::kF32;
};

size_t packed_winograd_bytes(int64_t out, int64_t in, WeightFormat format);
/// Packs weights [out][in][3][3] (dense, any alignment); on OpenMP's team. The packed form is the
/// same for every instruction set.
void pack_winograd(const std::byte* weights, WeightFormat format, int64_t out, int64_t in,
                   std::byte* packed);

size_t transformed_winograd_bytes(int64_t out, int64_t in);
/// Transforms packed weights for the instruction set in use; 64-byte aligned memory is to be given.
void transform_winograd(const WinogradWeights& weights, int64_t out, int64_t in,
                        float* transformed);

/// In which order the work is done: see winograd_plan.h.
enum class WinogradOrder : uint8_t { kAutomatic, kByFilters, kByTiles };

/// out = after(conv3x3(upsampled(x), weights) + bias) + addend, of channels-last images. Pixel p of
/// image b stands (b * pixels + p) * pixel stride elements into its buffer.
struct Winograd {
  Buffer x, out;
  Buffer addend;                                            ///< null: none
  int64_t x_stride = 0, out_stride = 0, addend_stride = 0;  ///< from pixel to pixel, >= channels
  WinogradWeights weights;
  const float* bias = nullptr;               ///< [out_channels], or null
  Unary after;                               ///< before the addend
  int64_t batch = 0, height = 0, width = 0;  ///< of x
  int64_t in_channels = 0, out_channels = 0;
  int64_t upsample = 1;                              ///< nearest neighbour, by 1 or 2
  int64_t top = 1, left = 1, bottom = 1, right = 1;  ///< padding by zeros, 0 or 1
  WinogradOrder order = WinogradOrder::kAutomatic;   ///< forced by tests and benchmarks
  const std::atomic<bool>* stop = nullptr;           ///< set: returns early, out incomplete

  int64_t out_height() const { return height * upsample + top + bottom - 2; }
  int64_t out_width() const { return width * upsample + left + right - 2; }
};

/// Scratch bytes that winograd() needs with `threads` threads; 64-byte aligned memory is to be
/// given. Depends on sizes, order and which weights are there, not on pointers' values.
size_t winograd_scratch(const Winograd& args, int threads);
void winograd(const Winograd& args, void* scratch, int threads);

}  // namespace safelight::engine::cpu
