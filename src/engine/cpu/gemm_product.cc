#include "engine/cpu/gemm_product.h"

#include <optional>

#include "engine/cpu/kernels/gemm.h"

namespace safelight::engine::cpu {
namespace {

std::optional<WeightFormat> format_of(graph::DType type) {
  switch (type) {
    case graph::DType::kF32:
      return WeightFormat::kF32;
    case graph::DType::kF16:
      return WeightFormat::kF16;
    case graph::DType::kBF16:
      return WeightFormat::kBF16;
    default:
      return std::nullopt;
  }
}

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

}  // namespace

bool takes_gemm(const Product& product, const PlanBuilder& builder, const CpuWeights& weights,
                const LoweringOptions& options) {
  const bool in_bf16 = options.native_bf16() && builder.storage(product.source) == Storage::kBF16;
  return !product.convolution && !in_bf16 &&
         format_of(weights.file_tensor(product.weight).dtype).has_value();
}

void add_gemm_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                      const LoweringOptions& options) {
  const weights::TensorView& tensor = weights.file_tensor(product.weight);
  const FileMatrix weight{.data = tensor.data.data(),
                          .format = *format_of(tensor.dtype),
                          .rows = product.result.sizes.back(),
                          .columns = product.source.sizes.back()};
  const float* bias = product.bias.empty() ? nullptr : weights.f32(product.bias).data();
  const int64_t rows = graph::element_count(product.result.sizes) / weight.rows;
  const View scratch =
      builder.scratch(gemm_scratch(rows, weight.rows, weight.columns, options.threads));
  std::vector<View> reads{product.source};
  for (const PlacedPostOperation& operation : product.after) reads.push_back(operation.addend);
  const View source = product.source, result = product.result;
  Step& step = builder.kernel(
      product.kind, reads, {result, scratch},
      [=, after = product.after, threads = options.threads](const Workspace& workspace) {
        const std::vector<RowOperation> operations = operations_in(workspace, after);
        gemm({.x = workspace.rows(source),
              .out = workspace.rows(result),
              .weight = weight,
              .bias = bias,
              .after = operations,
              .stop = workspace.stop()},
             workspace.at(scratch).data, threads);
      });
  step.flops = product.flops();
}

}  // namespace safelight::engine::cpu
