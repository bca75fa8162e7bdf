// Tiles of images to Winograd's matrices and back, once per Highway target: included by files that
// use foreach_target.h.
#if defined(SAFELIGHT_WINOGRAD_IMAGES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef SAFELIGHT_WINOGRAD_IMAGES_INL
#undef SAFELIGHT_WINOGRAD_IMAGES_INL
#else
#define SAFELIGHT_WINOGRAD_IMAGES_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "engine/cpu/kernels/f32_blocks.h"
#include "engine/cpu/kernels/winograd_plan.h"
#include "engine/cpu/kernels/winograd_transforms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace safelight::engine::cpu::HWY_NAMESPACE {

/// The pixels that a tile is computed from; those outside of the image are zeros.
inline void FindPixels(const WinogradCall& call, int64_t tile,
                       const std::byte* (&pixels)[kWinogradPoints]) {
  const Winograd& args = call.args;
  const int64_t column = tile % call.plan.columns, row = tile / call.plan.columns;
  const int64_t image = row / call.plan.rows;
  const int64_t top = row % call.plan.rows * kWinogradOut - args.top;
  const int64_t left = column * kWinogradOut - args.left;
  for (int64_t i = 0; i < kWinogradPoints; ++i) {
    const int64_t y = top + i / kWinogradIn, x = left + i % kWinogradIn;
    const bool inside =
        y >= 0 && y < args.height * args.upsample && x >= 0 && x < args.width * args.upsample;
    const int64_t pixel =
        (image * args.height + y / args.upsample) * args.width + x / args.upsample;
    pixels[i] = inside ? args.x.at(pixel * args.x_stride).data
                       : reinterpret_cast<const std::byte*>(call.zeros);
  }
}

template <Storage kStorage>
HWY_INLINE V LoadValues(const std::byte* from, int64_t index) {
  const D d;
  if constexpr (kStorage == Storage::kF32) {
    return hn::LoadU(d, reinterpret_cast<const float*>(from) + index);
  } else {
    const hn::Rebind<uint16_t, D> half;
    return ToF32(d, hn::LoadU(half, reinterpret_cast<const uint16_t*>(from) + index));
  }
}

template <Storage kStorage>
void TransformInputTile(const std::byte* const (&pixels)[kWinogradPoints], int64_t channels,
                        const InputBlock& inputs, int64_t row) {
  const D d;
  const int64_t point_stride = inputs.point_stride();
  const auto transform = [&](int64_t channel, auto load) {
    float* to = inputs.at(channel / kWinogradDepth, 0, row) + channel % kWinogradDepth;
    TransformInput(load, [&](int point, V v) { hn::Store(v, d, to + point * point_stride); });
  };
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    transform(c, [&](int i) { return LoadValues<kStorage>(pixels[i], c); });
  }
  if (c == channels) return;
  HWY_ALIGN float rest[kWinogradPoints][kLanes] = {};
  for (int64_t i = 0; i < kWinogradPoints; ++i) {
    const Buffer pixel{const_cast<std::byte*>(pixels[i]), kStorage};
    float block[kLanes];
    std::copy_n(read_f32(pixel.at(c), channels - c, block), channels - c, rest[i]);
  }
  transform(c, [&](int i) { return hn::Load(d, rest[i]); });
}

inline void TransformInputs(const WinogradCall& call, int64_t tile, const InputBlock& inputs,
                            int64_t row) {
  const std::byte* pixels[kWinogradPoints];
  FindPixels(call, tile, pixels);
  if (call.args.x.storage == Storage::kF32) {
    TransformInputTile<Storage::kF32>(pixels, call.args.in_channels, inputs, row);
  } else {
    TransformInputTile<Storage::kBF16>(pixels, call.args.in_channels, inputs, row);
  }
}

template <Storage kStorage>
HWY_INLINE void StoreValues(V value, std::byte* to, int64_t index) {
  const D d;
  if constexpr (kStorage == Storage::kF32) {
    hn::StoreU(value, d, reinterpret_cast<float*>(to) + index);
  } else {
    const hn::Rebind<uint16_t, D> half;
    hn::StoreU(ToBF16(value), half, reinterpret_cast<uint16_t*>(to) + index);
  }
}

/// Adds the addend and stores a panel of channels of one pixel.
inline void WritePixel(const Winograd& args, int64_t pixel, int64_t channel, const float* values) {
  const D d;
  const int64_t channels = std::min(kWinogradPanel, args.out_channels - channel);
  const Buffer out = args.out.at(pixel * args.out_stride + channel);
  const Buffer addend =
      args.addend.data ? args.addend.at(pixel * args.addend_stride + channel) : Buffer{};
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    V value = hn::Load(d, values + c);
    if (addend.data) {
      value = hn::Add(value, addend.storage == Storage::kF32
                                 ? LoadValues<Storage::kF32>(addend.data, c)
                                 : LoadValues<Storage::kBF16>(addend.data, c));
    }
    if (out.storage == Storage::kF32) {
      StoreValues<Storage::kF32>(value, out.data, c);
    } else {
      StoreValues<Storage::kBF16>(value, out.data, c);
    }
  }
  if (c == channels) return;
  float rest[kLanes], block[kLanes];
  std::copy_n(values + c, channels - c, rest);
  if (addend.data) {
    const float* terms = read_f32(addend.at(c), channels - c, block);
    for (int64_t i = 0; i < channels - c; ++i) rest[i] += terms[i];
  }
  float* to = target_f32(out.at(c), rest);
  if (to != rest) std::copy_n(rest, channels - c, to);
  write_f32(out.at(c), channels - c, rest);
}

/// Results of `count` tiles from `first`, one panel of channels, from M [points][rows][panel].
inline void WriteTiles(const WinogradCall& call, int64_t panel, int64_t first, int64_t count,
                       const float* m, int64_t point_stride) {
  const D d;
  const Winograd& args = call.args;
  const int64_t channel = panel * kWinogradPanel, height = args.out_height(),
                width = args.out_width();
  HWY_ALIGN float bias[kWinogradPanel] = {};
  if (args.bias)
    std::copy_n(args.bias + channel, std::min(kWinogradPanel, args.out_channels - channel), bias);
  HWY_ALIGN float values[kWinogradOut * kWinogradOut * kWinogradPanel];
  for (int64_t t = 0; t < count; ++t, m += kWinogradPanel) {
    for (int64_t v = 0; v < kWinogradPanel; v += kLanes) {
      const V term = hn::Load(d, bias + v);
      TransformOutput(
          [&](int point) { return hn::Load(d, m + point * point_stride + v); },
          [&](int i, V y) { hn::Store(hn::Add(y, term), d, values + i * kWinogradPanel + v); });
    }
    if (args.after.function != UnaryFunction::kIdentity)
      apply(args.after, values, values, std::size(values));
    const int64_t column = (first + t) % call.plan.columns * kWinogradOut,
                  row = (first + t) / call.plan.columns;
    const int64_t image = row / call.plan.rows, top = row % call.plan.rows * kWinogradOut;
    for (int64_t y = 0; y < std::min(kWinogradOut, height - top); ++y) {
      for (int64_t x = 0; x < std::min(kWinogradOut, width - column); ++x) {
        WritePixel(args, (image * height + top + y) * width + column + x, channel,
                   values + (y * kWinogradOut + x) * kWinogradPanel);
      }
    }
  }
}

}  // namespace safelight::engine::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // per-target include guard
