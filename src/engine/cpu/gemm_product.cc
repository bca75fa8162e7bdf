#include "engine/cpu/gemm_product.h"

#include <optional>

#include "engine/cpu/kernels/gemm.h"

namespace safelight::engine::cpu {
namespace {

std::vector<RowOperation> operations_in(const Workspace& workspace,
                                        const std::vector<PlacedPostOperation>& after) {
  std::vector<RowOperation> operations;
  for (const auto& [unary, addend] : after) {
    operations.push_back({.unary = unary});
    if (!addend.valid()) continue;
    operations.back().addend = workspace.at(addend);
    operations.back().stride = row_stride(addend);
  }
  return operations;
}

/// The pixels of a dense channels-last image as rows; rows as they are. (Strides of dimensions of
/// one pixel say nothing.)
View rows_of(const Product& product, const View& view) {
  if (!product.convolution || !view.valid()) return view;
  const graph::Shape& s = view.sizes;
  return {view.buffer, view.offset, {s[0] * s[2] * s[3], s[1]}, {s[1], 1}};
}

std::optional<Filter> filter_of(const Product& product) {
  if (!product.convolution) return std::nullopt;
  const graph::Conv2dAttributes& attributes = *product.convolution;
  const graph::Shape &from = product.source.sizes, &to = product.result.sizes;
  return Filter{.rows = product.weight_shape[2],
                .columns = product.weight_shape[3],
                .height = from[2],
                .width = from[3],
                .out_height = to[2],
                .out_width = to[3],
                .stride_y = attributes.stride[0],
                .stride_x = attributes.stride[1],
                .dilation_y = attributes.dilation[0],
                .dilation_x = attributes.dilation[1],
                .top = attributes.padding.top,
                .left = attributes.padding.left,
                .upsample = product.upsample};
}

}  // namespace

bool takes_gemm(const Product& product, const PlanBuilder& builder, const CpuWeights& weights,
                const LoweringOptions& options) {
  const bool in_bf16 = options.native_bf16() && builder.storage(product.source) == Storage::kBF16;
  const bool filters = !product.convolution || (product.convolution->groups == 1 &&
                                                filter_of(product)->taps() <= kMaxFilterTaps);
  return filters && !in_bf16 && weight_format(weights.dtype(product.weight)).has_value();
}

void add_gemm_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                      const LoweringOptions& options) {
  const weights::TensorView& tensor = weights.tensor(product.weight);
  const View source = rows_of(product, product.source), result = rows_of(product, product.result);
  Gemm args{.weight = {.data = tensor.data.data(),
                       .format = *weight_format(tensor.dtype),
                       .rows = product.weight_shape[0],
                       .columns = tensor.count() / product.weight_shape[0]},
            .bias = product.bias.empty() ? nullptr : weights.f32(product.bias).data(),
            .filter = filter_of(product)};
  args.x.columns = source.sizes.back();
  args.out.columns = result.sizes.back();
  args.out.rows = graph::element_count(result.sizes) / args.out.columns;
  const View scratch = builder.scratch(gemm_scratch(args, options.threads));
  std::vector<View> reads{product.source};
  std::vector<PlacedPostOperation> after = product.after;
  for (PlacedPostOperation& operation : after) {
    operation.addend = rows_of(product, operation.addend);
    reads.push_back(operation.addend);
  }
  Step& step = builder.kernel(product.kind, reads, {product.result, scratch},
                              [=, threads = options.threads](const Workspace& workspace) {
                                const std::vector<RowOperation> operations =
                                    operations_in(workspace, after);
                                Gemm call = args;
                                call.x = workspace.rows(source);
                                call.out = workspace.rows(result);
                                call.after = operations;
                                call.stop = workspace.stop();
                                gemm(call, workspace.at(scratch).data, threads);
                              });
  step.flops = product.flops();
}

}  // namespace safelight::engine::cpu
