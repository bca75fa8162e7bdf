#include "engine/cpu/onednn_products.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <unordered_map>

#include "engine/cpu/operator_steps.h"

namespace safelight::engine::cpu {
namespace {

using dnnl::memory;
using graph::Shape;

memory::data_type data_type(Storage storage) {
  return storage == Storage::kF32 ? memory::data_type::f32 : memory::data_type::bf16;
}

/// Calls of oneDNN primitives, one after the other, on memory that the plan places.
class PrimitiveStep : public Step {
 public:
  explicit PrimitiveStep(const dnnl::engine& engine) : engine_(engine), stream_(engine) {}

  /// The following arguments are of this call.
  void add_call(dnnl::primitive primitive) { calls_.push_back({std::move(primitive), {}, {}}); }
  void place(int argument, const memory::desc& layout, const View& view) {
    memory placed(layout, engine_, DNNL_MEMORY_NONE);
    calls_.back().placed.push_back({placed, view});
    calls_.back().arguments.insert_or_assign(argument, placed);
  }
  void fix(int argument, const memory& data) {
    calls_.back().arguments.insert_or_assign(argument, data);
  }

  void run(const Workspace& workspace) override {
    for (Call& call : calls_) {
      if (workspace.stop() && workspace.stop()->load(std::memory_order_relaxed)) return;
      for (auto& [placed, view] : call.placed) placed.set_data_handle(workspace.at(view).data);
      call.primitive.execute(stream_, call.arguments);
      stream_.wait();
    }
  }

 private:
  struct Call {
    dnnl::primitive primitive;
    std::vector<std::pair<memory, View>> placed;
    std::unordered_map<int, memory> arguments;
  };
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<Call> calls_;
};

void append_unary(dnnl::post_ops& operations, const Unary& unary) {
  using dnnl::algorithm;
  const auto add = [&](algorithm kind, float a = 0, float b = 0) {
    operations.append_eltwise(kind, a, b);
  };
  switch (unary.function) {
    case UnaryFunction::kIdentity:
      return;
    case UnaryFunction::kSilu:
      return add(algorithm::eltwise_swish, 1);
    case UnaryFunction::kGelu:
      return add(algorithm::eltwise_gelu_erf);
    case UnaryFunction::kGeluTanh:
      return add(algorithm::eltwise_gelu_tanh);
    case UnaryFunction::kQuickGelu:
      return add(algorithm::eltwise_swish, 1.702F);
    case UnaryFunction::kRelu:
      return add(algorithm::eltwise_relu);
    case UnaryFunction::kSigmoid:
      return add(algorithm::eltwise_logistic);
    case UnaryFunction::kTanh:
      return add(algorithm::eltwise_tanh);
    case UnaryFunction::kExp:
      return add(algorithm::eltwise_exp);
    case UnaryFunction::kSqrt:
      return add(algorithm::eltwise_sqrt);
    case UnaryFunction::kSquare:
      return add(algorithm::eltwise_square);
    case UnaryFunction::kAbs:
      return add(algorithm::eltwise_abs);
    case UnaryFunction::kAffine:
      return add(algorithm::eltwise_linear, unary.a, unary.b);
    case UnaryFunction::kClamp:
      return add(algorithm::eltwise_clip_v2, unary.a, unary.b);
    case UnaryFunction::kSin:
    case UnaryFunction::kCos:
      throw std::logic_error("oneDNN has no sine: the fusion must not offer it");
  }
}

/// Post-operations and the layouts of their addends, for the result's dimensions.
struct Attributes {
  dnnl::primitive_attr attr;
  std::vector<std::pair<int, memory::desc>> addends;  ///< argument, layout
};

Attributes attributes_of(const Product& product,
                         const std::function<memory::desc(const View&)>& layout) {
  Attributes attributes;
  dnnl::post_ops operations;
  for (const PlacedPostOperation& operation : product.after) {
    if (operation.addend.valid()) {
      const memory::desc addend = layout(operation.addend);
      const int argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(operations.len()) | DNNL_ARG_SRC_1;
      operations.append_binary(dnnl::algorithm::binary_add, addend);
      attributes.addends.emplace_back(argument, addend);
    } else {
      append_unary(operations, operation.unary);
    }
  }
  attributes.attr.set_post_ops(operations);
  attributes.attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

/// Everything of a weighted product but its descriptor.
struct Parts {
  memory::desc source, result, weight, bias;
  Attributes attributes;
};

void add_call(PrimitiveStep& step, const Product& product, const Parts& parts,
              dnnl::primitive primitive, const memory& weight, CpuWeights& weights) {
  step.add_call(std::move(primitive));
  step.place(DNNL_ARG_SRC, parts.source, product.source);
  step.place(DNNL_ARG_DST, parts.result, product.result);
  step.fix(DNNL_ARG_WEIGHTS, weight);
  if (!product.bias.empty()) {
    step.fix(DNNL_ARG_BIAS,
             {parts.bias, weights.engine(), const_cast<float*>(weights.f32(product.bias).data())});
  }
  size_t next = 0;
  for (const PlacedPostOperation& operation : product.after) {
    if (!operation.addend.valid()) continue;
    const auto& [argument, layout] = parts.attributes.addends[next++];
    step.place(argument, layout, operation.addend);
  }
}

/// Gives the last call its scratch memory, which the calls of a step share.
void add_scratchpad(PlanBuilder& builder, PrimitiveStep& step, const memory::desc& scratchpad,
                    View& shared) {
  if (scratchpad.get_size() == 0) return;
  if (!shared.valid()) shared = builder.scratch(scratchpad.get_size());
  builder.enlarge(shared, scratchpad.get_size());
  step.place(DNNL_ARG_SCRATCHPAD, scratchpad, shared);
}

void add_step(PlanBuilder& builder, const Product& product, std::unique_ptr<PrimitiveStep> step,
              const View& scratch) {
  step->flops = product.flops();
  std::vector<View> reads{product.source}, writes{product.result};
  for (const PlacedPostOperation& operation : product.after) {
    if (operation.addend.valid()) reads.push_back(operation.addend);
  }
  if (scratch.valid()) writes.push_back(scratch);
  builder.step(product.kind, reads, writes, std::move(step));
}

memory::desc wanted_weight(const CpuWeights& weights, const std::string& name,
                           const memory::dims& dims, memory::data_type type) {
  if (std::optional<memory::desc> kept = weights.packed_layout(name, type)) return *kept;
  return {dims, type, memory::format_tag::any};
}

void add_linear(const Product& product, PlanBuilder& builder, CpuWeights& weights) {
  const int64_t k = product.source.sizes.back(), n = product.result.sizes.back();
  const int64_t m = graph::element_count(product.result.sizes) / n;
  const auto rows = [&](const View& view) {
    return memory::desc({m, view.sizes.back()}, data_type(builder.storage(view)),
                        memory::dims{row_stride(view), 1});
  };
  const memory::data_type type = data_type(builder.storage(product.source));
  Parts parts{.source = rows(product.source),
              .result = rows(product.result),
              .weight = wanted_weight(weights, product.weight, {k, n}, type),
              .bias = product.bias.empty()
                          ? memory::desc()
                          : memory::desc({1, n}, memory::data_type::f32, memory::format_tag::ab),
              .attributes = attributes_of(product, rows)};
  const dnnl::engine& engine = weights.engine();
  const dnnl::matmul::primitive_desc chosen =
      product.bias.empty()
          ? dnnl::matmul::primitive_desc(engine, parts.source, parts.weight, parts.result,
                                         parts.attributes.attr)
          : dnnl::matmul::primitive_desc(engine, parts.source, parts.weight, parts.bias,
                                         parts.result, parts.attributes.attr);
  const memory weight =
      weights.packed(product.weight, {{k, n}, type, memory::dims{1, k}}, chosen.weights_desc());
  auto step = std::make_unique<PrimitiveStep>(engine);
  View scratch;
  add_call(*step, product, parts, dnnl::matmul(chosen), weight, weights);
  add_scratchpad(builder, *step, chosen.scratchpad_desc(), scratch);
  add_step(builder, product, std::move(step), scratch);
}

/// Rows [begin, end) of picture `picture` of a dense image.
View band_of(const View& image, int64_t picture, int64_t begin, int64_t end) {
  View band = image;
  band.offset += picture * image.strides[0] + begin * image.strides[2];
  band.sizes[0] = 1;
  band.sizes[2] = end - begin;
  return band;
}

/// Rows [begin, end) of a picture's result, from the rows of its source that they need.
Product band_of(const Product& product, int64_t picture, int64_t begin, int64_t end) {
  graph::Conv2dAttributes attributes = *product.convolution;
  const int64_t height = product.source.sizes[2], stride = attributes.stride[0],
                reach = attributes.dilation[0] * (product.weight_shape[2] - 1) + 1;
  const int64_t first = begin * stride - attributes.padding.top,
                last = (end - 1) * stride - attributes.padding.top + reach;
  attributes.padding.top = std::max<int64_t>(0, -first);
  attributes.padding.bottom = std::max<int64_t>(0, last - height);
  Product band = product;
  band.convolution = attributes;
  band.source =
      band_of(product.source, picture, std::max<int64_t>(0, first), std::min(last, height));
  band.result = band_of(product.result, picture, begin, end);
  for (PlacedPostOperation& operation : band.after) {
    if (operation.addend.valid()) operation.addend = band_of(operation.addend, picture, begin, end);
  }
  return band;
}

/// The product whole, or cut in bands short enough that a run can be stopped between them.
std::vector<Product> bands_of(const Product& product, double longest_call) {
  const int64_t pictures = product.result.sizes[0], height = product.result.sizes[2];
  if (product.flops() <= longest_call) return {product};
  const auto wanted = static_cast<int64_t>(
      std::ceil(product.flops() / longest_call / static_cast<double>(pictures)));
  const int64_t bands = std::clamp<int64_t>(wanted, 1, height);
  std::vector<Product> cut;
  for (int64_t i = 0; i < pictures * bands; ++i) {
    const int64_t band = i % bands;
    cut.push_back(band_of(product, i / bands, height * band / bands, height * (band + 1) / bands));
  }
  return cut;
}

void add_convolution_call(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                          PrimitiveStep& step, View& scratch) {
  const auto image = [&](const View& view) {
    return memory::desc(view.sizes, data_type(builder.storage(view)),
                        channels_last_strides(view.sizes));
  };
  const graph::Conv2dAttributes& attributes = *product.convolution;
  const memory::data_type type = data_type(builder.storage(product.source));
  memory::dims dims = product.weight_shape;
  if (attributes.groups > 1) {
    dims[0] /= attributes.groups;
    dims.insert(dims.begin(), attributes.groups);
  }
  Parts parts{.source = image(product.source),
              .result = image(product.result),
              .weight = wanted_weight(weights, product.weight, dims, type),
              .bias = product.bias.empty()
                          ? memory::desc()
                          : memory::desc({product.weight_shape[0]}, memory::data_type::f32,
                                         memory::format_tag::x),
              .attributes = attributes_of(product, image)};
  const graph::Padding& padding = attributes.padding;
  const dnnl::convolution_forward::primitive_desc chosen(
      weights.engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      parts.source, parts.weight, parts.bias, parts.result,
      {attributes.stride[0], attributes.stride[1]},
      {attributes.dilation[0] - 1, attributes.dilation[1] - 1}, {padding.top, padding.left},
      {padding.bottom, padding.right}, parts.attributes.attr);
  const memory weight = weights.packed(product.weight, {dims, type, graph::dense_strides(dims)},
                                       chosen.weights_desc());
  add_call(step, product, parts, dnnl::convolution_forward(chosen), weight, weights);
  add_scratchpad(builder, step, chosen.scratchpad_desc(), scratch);
}

void add_convolution(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                     double longest_call) {
  auto step = std::make_unique<PrimitiveStep>(weights.engine());
  View scratch;
  for (const Product& band : bands_of(product, longest_call)) {
    add_convolution_call(band, builder, weights, *step, scratch);
  }
  add_step(builder, product, std::move(step), scratch);
}

/// The product of an image that a step before it makes larger.
Product upsampled(const Product& product, PlanBuilder& builder) {
  Product direct = product;
  graph::Shape sizes = product.source.sizes;
  sizes[2] *= product.upsample;
  sizes[3] *= product.upsample;
  direct.source = builder.channels_last(sizes, builder.storage(product.source));
  direct.upsample = 1;
  add_upsample(builder, product.source, direct.source, {product.upsample, product.upsample});
  return direct;
}

}  // namespace

void add_onednn_product(const Product& product, PlanBuilder& builder, CpuWeights& weights,
                        const LoweringOptions& options) {
  if (product.upsample > 1) {
    return add_onednn_product(upsampled(product, builder), builder, weights, options);
  }
  const Storage type = options.native_bf16() ? builder.storage(product.source) : Storage::kF32;
  Product stored = product;
  stored.source = builder.in_storage(product.source, type);
  for (PlacedPostOperation& operation : stored.after) {
    if (operation.addend.valid()) operation.addend = builder.in_storage(operation.addend, type);
  }
  // A bf16 product can store float32 as well; a float32 one is rounded to bf16 by a copy behind it.
  const bool rounds = type == Storage::kF32 && builder.storage(product.result) == Storage::kBF16;
  if (rounds) stored.result = builder.dense_like(product.result, Storage::kF32);
  if (product.convolution) {
    add_convolution(stored, builder, weights, options.longest_call);
  } else {
    add_linear(stored, builder, weights);
  }
  if (rounds) builder.copy(stored.result, product.result);
}

void add_onednn_matmul(PlanBuilder& builder, const dnnl::engine& engine, const View& a,
                       const View& b, const View& result) {
  const auto layout = [&](const View& view) {
    return memory::desc(view.sizes, data_type(builder.storage(view)), view.strides);
  };
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::matmul::primitive_desc chosen(engine, layout(a), layout(b), layout(result), attr);
  auto step = std::make_unique<PrimitiveStep>(engine);
  step->add_call(dnnl::matmul(chosen));
  step->flops = 2.0 * static_cast<double>(graph::element_count(result.sizes)) *
                static_cast<double>(a.sizes.back());
  step->place(DNNL_ARG_SRC, layout(a), a);
  step->place(DNNL_ARG_WEIGHTS, layout(b), b);
  step->place(DNNL_ARG_DST, layout(result), result);
  std::vector<View> writes{result};
  if (chosen.scratchpad_desc().get_size() > 0) {
    writes.push_back(builder.scratch(chosen.scratchpad_desc().get_size()));
    step->place(DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc(), writes.back());
  }
  builder.step("matmul", {a, b}, writes, std::move(step));
}

}  // namespace safelight::engine::cpu
