#include "engine/cpu/lowering.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "engine/cpu/fusion.h"
#include "engine/cpu/memory_plan.h"
#include "engine/cpu/onednn_products.h"
#include "engine/cpu/operator_steps.h"
#include "engine/cpu/plan_builder.h"

namespace safelight::engine::cpu {
namespace {

using graph::Graph;
using graph::Node;
using graph::Op;
using graph::Shape;
using graph::Value;

BinaryFunction binary_function(Op op) {
  switch (op) {
    case Op::kAdd:
      return BinaryFunction::kAdd;
    case Op::kSub:
      return BinaryFunction::kSub;
    case Op::kMul:
      return BinaryFunction::kMul;
    case Op::kDiv:
      return BinaryFunction::kDiv;
    case Op::kMaximum:
      return BinaryFunction::kMaximum;
    default:
      throw std::logic_error("not a binary operator");
  }
}

/// The view read under `sizes` by broadcasting: missing leading dimensions and those of size 1 get
/// stride 0.
View broadcast_view(const View& view, const Shape& sizes) {
  View result{view.buffer, view.offset, sizes, Shape(sizes.size(), 0)};
  const size_t lead = sizes.size() - view.sizes.size();
  for (size_t d = 0; d < view.sizes.size(); ++d) {
    if (view.sizes[d] != 1) result.strides[lead + d] = view.strides[d];
  }
  return result;
}

View permuted(const View& view, const Shape& order) {
  View result{view.buffer, view.offset, {}, {}};
  for (const int64_t axis : order) {
    result.sizes.push_back(view.sizes[static_cast<size_t>(axis)]);
    result.strides.push_back(view.strides[static_cast<size_t>(axis)]);
  }
  return result;
}

/// A channels-last [B, C, H, W] as the rows [B, H, W, C] that it is in memory.
View pixels_as_rows(const View& image) { return permuted(image, {0, 2, 3, 1}); }

bool is_pointwise(const graph::Conv2dAttributes& attributes, const Shape& weight) {
  const graph::Padding& p = attributes.padding;
  return weight[2] == 1 && weight[3] == 1 && attributes.stride == std::array<int64_t, 2>{1, 1} &&
         attributes.groups == 1 && p.top == 0 && p.left == 0 && p.bottom == 0 && p.right == 0;
}

class Lowering {
 public:
  Lowering(const Graph& graph, CpuWeights& weights, ProductPlanner& planner,
           const LoweringOptions& options)
      : graph_(graph),
        weights_(weights),
        planner_(planner),
        options_(options),
        fused_(fuse(graph)),
        places_(graph.nodes().size()),
        is_output_(graph.nodes().size(), false) {}

  LoweredPlan run() {
    for (const graph::NamedValue& output : graph_.outputs()) is_output_[index(output.value)] = true;
    for (const Value input : graph_.inputs()) place_input(input);
    for (size_t i = 0; i < places_.size(); ++i) {
      const Value value{static_cast<int32_t>(i)};
      if (fused_.runs[i] && graph_.node(value).op != Op::kInput) place(value) = lower(value);
    }
    for (const graph::NamedValue& output : graph_.outputs()) keep_output(output.value);
    plan_memory(builder_.plan());
    return {std::move(builder_.plan()), std::move(constants_)};
  }

 private:
  static size_t index(Value value) { return static_cast<size_t>(value.index); }
  View& place(Value value) { return places_[index(value)]; }
  const Node& node(Value value) const { return graph_.node(value); }

  Storage storage_of(Value value) const {
    return node(value).numerics == graph::Numerics::kF32 || is_output_[index(value)]
               ? Storage::kF32
               : options_.storage;
  }

  /// The storage of a product's operands: bf16 only where oneDNN computes with it.
  Storage product_storage(const Node& node) const {
    const bool f32 = node.numerics == graph::Numerics::kF32 || !options_.native_bf16();
    return f32 ? Storage::kF32 : options_.storage;
  }

  void place_input(Value input) {
    const Storage storage =
        node(input).numerics == graph::Numerics::kF32 ? Storage::kF32 : options_.storage;
    place(input) = builder_.usual_layout(node(input).shape, storage);
    builder_.make_persistent(place(input));
    builder_.plan().inputs.push_back(place(input));
  }

  void keep_output(Value output) {
    const View kept = builder_.row_major(node(output).shape, Storage::kF32);
    builder_.make_persistent(kept);
    builder_.copy(operand(output), kept);
    builder_.plan().outputs.push_back(kept);
  }

  View constant(const Shape& shape, std::vector<float> data) {
    const View view = builder_.row_major(shape, Storage::kF32);
    builder_.make_persistent(view);
    constants_.push_back({view, std::move(data)});
    return view;
  }

  /// Where an operand lies; a weight used as an operand becomes a constant.
  View operand(Value value) {
    View& view = place(value);
    if (!view.valid() && node(value).op == Op::kParam) {
      view = constant(node(value).shape, weights_.f32(name_of(value)));
    }
    return view;
  }

  std::string name_of(Value param) const {
    if (!param.valid()) return {};
    if (node(param).op != Op::kParam) {
      throw std::logic_error(std::string(graph::op_name(node(param).op)) +
                             " stands where the engine needs a weight");
    }
    return node(param).as<graph::NameAttributes>().name;
  }

  const float* f32_of(Value param) {
    return param.valid() ? weights_.f32(name_of(param)).data() : nullptr;
  }

  View lower(Value value) {
    const Node& n = node(value);
    if (const std::optional<Fusion>& fusion = fused_.fusions[index(value)])
      return lower_fusion(value, *fusion);
    if (const std::optional<Unary> unary = unary_of(n)) return lower_unary(value, *unary);
    switch (n.op) {
      case Op::kParam:
        return {};  // read by name where it is used
      case Op::kConstant:
        return constant(n.shape, n.as<graph::ConstantAttributes>().data);
      case Op::kMatMul:
        return lower_matmul(value);
      case Op::kGroupStatistics:
        return lower_group_statistics(value);
      case Op::kLayerNorm:
      case Op::kRmsNorm:
      case Op::kSoftmax:
      case Op::kGeglu:
        return lower_rows(value);
      case Op::kAttention:
        return lower_attention(value);
      case Op::kEmbedding:
        return lower_embedding(value);
      case Op::kTimestepEmbedding:
        return lower_timestep_embedding(value);
      case Op::kTokenSlots:
        return lower_token_slots(n);
      case Op::kMergeTokens:
      case Op::kUnmergeTokens:
        return lower_token_move(value);
      case Op::kReshape:
        return builder_.reshape(operand(n.inputs[0]), n.shape);
      case Op::kPermute:
        return permuted(operand(n.inputs[0]), n.as<graph::ShapeAttributes>().shape);
      case Op::kBroadcast:
        return broadcast_view(operand(n.inputs[0]), n.shape);
      case Op::kSlice:
        return lower_slice(n);
      case Op::kConcat:
        return lower_concat(value);
      case Op::kPad2d:
        return lower_pad(value);
      case Op::kUpsampleNearest:
        return lower_upsample(value);
      case Op::kMean:
        return lower_mean(n);
      default:
        throw std::logic_error(std::string(graph::op_name(n.op)) + " has no lowering");
    }
  }

  View lower_fusion(Value value, const Fusion& fusion) {
    switch (node(fusion.core).op) {
      case Op::kLinear:
      case Op::kConv2d:
        return lower_product(value, fusion);
      case Op::kGroupNorm:
      case Op::kGroupNormalise:
        return lower_group_norm(value, fusion);
      default:
        return lower_binary(value, fusion);
    }
  }

  View lower_product(Value value, const Fusion& fusion) {
    const Node& core = node(fusion.core);
    const bool image = core.op == Op::kConv2d;
    const Shape& weight_shape = node(core.inputs[1]).shape;
    const bool pointwise = image && is_pointwise(core.as<graph::Conv2dAttributes>(), weight_shape);
    const bool f32 = core.numerics == graph::Numerics::kF32;
    const auto prepared = [&](const View& view) {
      const View laid_out = image ? builder_.as_channels_last(view) : builder_.as_rows(view);
      const View stored = f32 ? builder_.in_storage(laid_out, Storage::kF32) : laid_out;
      return pointwise ? pixels_as_rows(stored) : stored;
    };
    const View result = builder_.usual_layout(node(value).shape, storage_of(value));
    Product product{.kind = std::string(pointwise ? "conv1x1" : graph::op_name(core.op)),
                    .source = prepared(operand(image ? fusion.source : core.inputs[0])),
                    .result = pointwise ? pixels_as_rows(result) : result,
                    .weight = name_of(core.inputs[1]),
                    .bias = name_of(core.inputs[2]),
                    .after = {},
                    .convolution = {},
                    .weight_shape = weight_shape,
                    .upsample = fusion.upsample};
    for (const PostOperation& operation : fusion.after) {
      const bool adds = operation.addend.valid();
      product.after.push_back(
          {operation.unary, adds ? prepared(operand(operation.addend)) : View{}});
    }
    if (image && !pointwise) product.convolution = core.as<graph::Conv2dAttributes>();
    const ProductMethod& method = planner_.choose(product, builder_, weights_, options_);
    const size_t first = builder_.plan().steps.size();
    method.add(product, builder_, weights_, options_);
    for (size_t s = first; s < builder_.plan().steps.size(); ++s) {
      builder_.plan().steps[s]->layer +=
          image ? fmt::format(" {}x{} {}", weight_shape[2], weight_shape[3], method.name)
                : fmt::format(" {}", method.name);
    }
    return result;
  }

  View lower_matmul(Value value) {
    const Node& n = node(value);
    const Storage type = product_storage(n);
    View a = builder_.as_rows(builder_.in_storage(operand(n.inputs[0]), type));
    View b = builder_.as_rows(builder_.in_storage(operand(n.inputs[1]), type));
    const Storage wanted = storage_of(value);
    const View result =
        builder_.row_major(n.shape, type == Storage::kBF16 ? wanted : Storage::kF32);
    if (n.as<graph::MatMulAttributes>().transpose_b) {
      std::swap(b.sizes[b.sizes.size() - 1], b.sizes[b.sizes.size() - 2]);
      std::swap(b.strides[b.strides.size() - 1], b.strides[b.strides.size() - 2]);
    }
    add_onednn_matmul(builder_, weights_.engine(), a, b, result);
    return builder_.in_storage(result, wanted);
  }

  View lower_unary(Value value, const Unary& unary) {
    const View from = operand(node(value).inputs[0]);
    const View to = builder_.dense_like(from, storage_of(value));
    Step& step = builder_.kernel("elementwise", {from}, {to}, [=](const Workspace& workspace) {
      cpu::unary(unary, workspace.strided(from), workspace.strided(to));
    });
    if (builder_.fills_buffer(from)) step.in_place_input = from.buffer;
    return to;
  }

  View lower_binary(Value value, const Fusion& fusion) {
    const Node& core = node(fusion.core);
    const View first = operand(core.inputs[0]), second = operand(core.inputs[1]);
    const View a = broadcast_view(first, core.shape), b = broadcast_view(second, core.shape);
    const View& model = first.sizes == core.shape ? a : b;
    const View to = model.sizes == core.shape && builder_.fills_buffer(model)
                        ? builder_.dense_like(model, storage_of(value))
                        : builder_.usual_layout(core.shape, storage_of(value));
    const Unary after = fusion.after.empty() ? Unary{} : fusion.after[0].unary;
    const BinaryFunction function = binary_function(core.op);
    Step& step = builder_.kernel("elementwise", {a, b}, {to}, [=](const Workspace& workspace) {
      cpu::binary(function, after, workspace.strided(a), workspace.strided(b),
                  workspace.strided(to));
    });
    if (builder_.fills_buffer(model) && model.strides == to.strides && a.buffer != b.buffer) {
      step.in_place_input = model.buffer;
    }
    return to;
  }

  /// [B, C, ...] as a channels-last image. Any number of positions behind the channels is one row
  /// of them: [B, C, S, 1].
  View channels_in_rows(Value value) {
    const View x = operand(value);
    const Shape& sizes = node(value).shape;
    if (sizes.size() == 4) return builder_.as_channels_last(x);
    const int64_t positions =
        graph::element_count(sizes) / std::max<int64_t>(sizes[0] * sizes[1], 1);
    return builder_.as_channels_last(builder_.reshape(x, {sizes[0], sizes[1], positions, 1}));
  }

  View without_gaps(const View& view) {
    if (is_row_major(view)) return view;
    const View dense = builder_.row_major(view.sizes, builder_.storage(view));
    builder_.copy(view, dense);
    return dense;
  }

  View lower_group_statistics(Value value) {
    const Node& n = node(value);
    const View x = channels_in_rows(n.inputs[0]);
    const View out = builder_.row_major(n.shape, Storage::kF32);
    const GroupNorm norm{.batch = x.sizes[0],
                         .positions = x.sizes[2] * x.sizes[3],
                         .channels = x.sizes[1],
                         .groups = static_cast<int>(n.shape[1])};
    builder_.kernel("group_norm", {x}, {out}, [=](const Workspace& workspace) {
      GroupNorm call = norm;
      call.x = workspace.at(x);
      group_statistics(call, reinterpret_cast<float*>(workspace.at(out).data));
    });
    return out;
  }

  View lower_group_norm(Value value, const Fusion& fusion) {
    const Node& core = node(fusion.core);
    const Shape sizes = core.shape;
    const View x = channels_in_rows(fusion.norm_input);
    View addend;
    if (fusion.norm_addend.valid()) {
      addend = without_gaps(builder_.reshape(operand(fusion.norm_addend), {sizes[0], sizes[1]}));
    }
    const View out = builder_.dense_like(x, storage_of(value));
    View statistics;
    if (core.op == Op::kGroupNormalise)
      statistics = without_gaps(builder_.in_storage(operand(core.inputs[3]), Storage::kF32));
    GroupNorm norm{.batch = sizes[0], .positions = x.sizes[2] * x.sizes[3], .channels = sizes[1]};
    norm.groups = static_cast<int>(core.as<graph::NormAttributes>().groups);
    norm.epsilon = core.as<graph::NormAttributes>().epsilon;
    norm.weight = f32_of(core.inputs[1]);
    norm.bias = f32_of(core.inputs[2]);
    if (!fusion.after.empty()) norm.after = fusion.after[0].unary;
    const std::vector<View> reads{x, addend, statistics};
    Step& step = builder_.kernel("group_norm", reads, {out}, [=](const Workspace& workspace) {
      GroupNorm call = norm;
      call.x = workspace.at(x);
      call.out = workspace.at(out);
      if (addend.valid()) call.addend = workspace.at(addend);
      if (statistics.valid())
        call.statistics = reinterpret_cast<const float*>(workspace.at(statistics).data);
      group_norm(call);
    });
    if (builder_.fills_buffer(x)) step.in_place_input = x.buffer;
    return sizes.size() == 4 ? out : builder_.reshape(out, sizes);
  }

  View lower_rows(Value value) {
    const Node& n = node(value);
    const View x = builder_.as_rows(operand(n.inputs[0]));
    const View out = builder_.row_major(n.shape, storage_of(value));
    std::function<void(const Rows&, const Rows&)> kernel;
    switch (n.op) {
      case Op::kLayerNorm: {
        const float epsilon = n.as<graph::NormAttributes>().epsilon;
        const float *weight = f32_of(n.inputs[1]), *bias = f32_of(n.inputs[2]);
        kernel = [=](const Rows& from, const Rows& to) {
          layer_norm(from, weight, bias, epsilon, to);
        };
        break;
      }
      case Op::kRmsNorm: {
        const float epsilon = n.as<graph::NormAttributes>().epsilon;
        const float* weight = f32_of(n.inputs[1]);
        kernel = [=](const Rows& from, const Rows& to) { rms_norm(from, weight, epsilon, to); };
        break;
      }
      case Op::kSoftmax:
        kernel = softmax;
        break;
      default:
        kernel = geglu;
        break;
    }
    builder_.kernel(std::string(graph::op_name(n.op)), {x}, {out}, [=](const Workspace& workspace) {
      kernel(workspace.rows(x), workspace.rows(out));
    });
    return out;
  }

  View lower_attention(Value value) {
    const Node& n = node(value);
    std::array<View, 3> views;
    for (size_t i = 0; i < 3; ++i) {
      views[i] = operand(n.inputs[i]);
      if (views[i].strides[2] != 1 && views[i].sizes[2] != 1) views[i] = builder_.as_rows(views[i]);
    }
    const View out = builder_.row_major(n.shape, storage_of(value));
    add_attention(builder_, views, out, n.as<graph::AttentionAttributes>(), options_.threads);
    return out;
  }

  View lower_embedding(Value value) {
    const Node& n = node(value);
    const View ids = builder_.as_rows(builder_.in_storage(operand(n.inputs[0]), Storage::kF32));
    const View out = builder_.row_major(n.shape, Storage::kF32);
    add_embedding(builder_, ids, weights_.tensor(name_of(n.inputs[1])), out);
    return builder_.in_storage(out, storage_of(value));
  }

  View lower_timestep_embedding(Value value) {
    const Node& n = node(value);
    const View t = builder_.as_rows(builder_.in_storage(operand(n.inputs[0]), Storage::kF32));
    const View out = builder_.row_major(n.shape, Storage::kF32);
    add_timestep_embedding(builder_, t, out, n.as<graph::TimestepAttributes>());
    return out;
  }

  View lower_token_slots(const Node& n) {
    const View scores = without_gaps(builder_.in_storage(operand(n.inputs[0]), Storage::kF32));
    const View slots = builder_.row_major(n.shape, Storage::kF32);
    add_token_slots(builder_, scores, slots, n.as<graph::TokenAttributes>());
    return slots;
  }

  View lower_token_move(Value value) {
    const Node& n = node(value);
    const View x = builder_.as_rows(operand(n.inputs[0]));
    const View slots = without_gaps(builder_.in_storage(operand(n.inputs[1]), Storage::kF32));
    const View out = builder_.row_major(n.shape, storage_of(value));
    add_token_move(builder_, n.op, x, slots, out);
    return out;
  }

  View lower_slice(const Node& n) {
    View view = operand(n.inputs[0]);
    const auto& [axis, begin, end] = n.as<graph::AxisAttributes>();
    view.offset += begin * view.strides[static_cast<size_t>(axis)];
    view.sizes[static_cast<size_t>(axis)] = end - begin;
    return view;
  }

  View lower_concat(Value value) {
    const Node& n = node(value);
    const auto axis = static_cast<size_t>(n.as<graph::AxisAttributes>().axis);
    const View out = builder_.usual_layout(n.shape, storage_of(value));
    View part = out;
    for (const Value input : n.inputs) {
      part.sizes = node(input).shape;
      builder_.copy(operand(input), part);
      part.offset += part.sizes[axis] * part.strides[axis];
    }
    return out;
  }

  View lower_pad(Value value) {
    const Node& n = node(value);
    const View out = builder_.channels_last(n.shape, storage_of(value));
    add_pad(builder_, operand(n.inputs[0]), out, n.as<graph::Padding>());
    return out;
  }

  View lower_upsample(Value value) {
    const Node& n = node(value);
    const View from = builder_.as_channels_last(operand(n.inputs[0]));
    const View out = builder_.channels_last(n.shape, storage_of(value));
    add_upsample(builder_, from, out, n.as<graph::UpsampleAttributes>());
    return out;
  }

  View lower_mean(const Node& n) {
    Shape order;
    const int64_t axis = n.as<graph::AxisAttributes>().axis;
    for (int64_t d = 0; d < static_cast<int64_t>(n.shape.size()); ++d) {
      if (d != axis) order.push_back(d);
    }
    order.push_back(axis);
    const View x = builder_.as_rows(permuted(operand(n.inputs[0]), order));
    Shape sizes = x.sizes;
    sizes.back() = 1;
    const View out = builder_.row_major(sizes, Storage::kF32);
    add_row_mean(builder_, x, out);
    Shape back(order.size());
    for (size_t d = 0; d < order.size(); ++d)
      back[static_cast<size_t>(order[d])] = static_cast<int64_t>(d);
    return permuted(out, back);
  }

  const Graph& graph_;
  CpuWeights& weights_;
  ProductPlanner& planner_;
  LoweringOptions options_;
  FusedGraph fused_;
  PlanBuilder builder_;
  std::vector<View> places_;
  std::vector<bool> is_output_;
  std::vector<PlanConstant> constants_;
};

}  // namespace

LoweredPlan lower(const Graph& graph, CpuWeights& weights, ProductPlanner& planner,
                  const LoweringOptions& options) {
  return Lowering(graph, weights, planner, options).run();
}

}  // namespace safelight::engine::cpu
