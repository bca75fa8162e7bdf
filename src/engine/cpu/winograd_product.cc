#include "engine/cpu/winograd_product.h"

#include <algorithm>
#include <array>

#include "engine/cpu/kernels/winograd.h"

namespace safelight::engine::cpu {
namespace {

constexpr int64_t kLeastChannels = 16;  // fewer leave vectors and register tiles empty

bool is_plain_3x3(const Product& product) {
  const graph::Conv2dAttributes& c = *product.convolution;
  const graph::Padding& p = c.padding;
  const std::array<int64_t, 2> one{1, 1};
  return product.weight_shape[2] == 3 && product.weight_shape[3] == 3 && c.stride == one &&
         c.dilation == one && c.groups == 1 && std::max({p.top, p.left, p.bottom, p.right}) <= 1 &&
         std::min({p.top, p.left, p.bottom, p.right}) >= 0;
}

/// [activation] [residual], as the kernel applies them.
bool takes_operations(const std::vector<PlacedPostOperation>& after) {
  if (after.size() > 2) return false;
  const bool first_adds = !after.empty() && after[0].addend.valid();
  return after.size() < 2 || (!first_adds && after[1].addend.valid());
}

Winograd sizes_of(const Product& product) {
  const graph::Padding& padding = product.convolution->padding;
  const graph::Shape& source = product.source.sizes;
  // Dense; strides of dimensions of 1 say nothing.
  return {.x_stride = source[1],
          .out_stride = product.result.sizes[1],
          .addend_stride = product.result.sizes[1],
          .batch = source[0],
          .height = source[2],
          .width = source[3],
          .in_channels = source[1],
          .out_channels = product.result.sizes[1],
          .upsample = product.upsample,
          .top = padding.top,
          .left = padding.left,
          .bottom = padding.bottom,
          .right = padding.right};
}

WinogradWeights weights_of(const Product& product, CpuWeights& weights) {
  const WeightFormat format = *weight_format(weights.dtype(product.weight));
  const int64_t out = product.weight_shape[0], in = product.weight_shape[1];
  const std::byte* packed =
      weights.own_form(product.weight, "winograd", packed_winograd_bytes(out, in, format),
                       [&](const weights::TensorView& tensor, std::byte* to) {
                         pack_winograd(tensor.data.data(), format, out, in, to);
                       });
  return {.packed = packed, .format = format};
}

}  // namespace

bool takes_winograd(const Product& product, const PlanBuilder&, const CpuWeights& weights,
                    const LoweringOptions&) {
  return product.convolution && is_plain_3x3(product) && takes_operations(product.after) &&
         weight_format(weights.dtype(product.weight)).has_value() &&
         std::min(product.weight_shape[0], product.weight_shape[1]) >= kLeastChannels;
}

void add_winograd_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                          const LoweringOptions& options) {
  Winograd args = sizes_of(product);
  args.weights = weights_of(product, weights);
  if (!product.bias.empty()) args.bias = weights.f32(product.bias).data();
  View addend;
  for (const PlacedPostOperation& operation : product.after) {
    if (operation.addend.valid()) {
      addend = operation.addend;
    } else {
      args.after = operation.unary;
    }
  }
  const int threads = options.threads;
  const View scratch = builder.scratch(winograd_scratch(args, threads));
  Step& step = builder.kernel(product.kind, {product.source, addend}, {product.result, scratch},
                              [args, addend, scratch, threads, x = product.source,
                               out = product.result](const Workspace& workspace) {
                                Winograd call = args;
                                call.x = workspace.at(x);
                                call.out = workspace.at(out);
                                if (addend.valid()) call.addend = workspace.at(addend);
                                call.stop = workspace.stop();
                                winograd(call, workspace.at(scratch).data, threads);
                              });
  step.flops = product.flops();
}

}  // namespace safelight::engine::cpu
