// Every operator of the CPU engine against the graph's reference interpreter, on random shapes and
// inputs, in float32 and bf16. ctest runs this program once for each instruction set
// (SAFELIGHT_MAX_ISA).
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "engine/engine.h"
#include "graph/interpreter.h"
#include "support/random_tensor.h"

namespace safelight::engine {
namespace {

using graph::Graph;
using graph::Op;
using graph::Shape;
using graph::Value;
using safelight::testing::random_tensor;
using safelight::testing::rounded_to_bf16;

// Rounding of float32 sums in another order, and of bf16 operands and results.
constexpr double kLimitF32 = 1e-10;
constexpr double kLimitBF16 = 1e-4;

/// A graph of one or a few operators with random inputs and weights.
class Trial {
 public:
  Trial(uint32_t seed, bool bf16) : generator(seed), bf16_(bf16) {}

  std::mt19937 generator;
  Graph g;

  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator);
  }
  bool chance() { return between(0, 1) == 1; }

  Value input(const Shape& shape, float scale = 1) { return input(random(shape, scale)); }
  Value input(Tensor tensor, graph::Numerics numerics = graph::Numerics::kAny) {
    const std::string name = "input" + std::to_string(inputs_.size());
    const Value value = g.input(name, tensor.shape, numerics);
    order_.push_back(name);
    inputs_[name] = std::move(tensor);
    return value;
  }
  Value input_f32(const Shape& shape) { return input(random(shape, 1), graph::Numerics::kF32); }
  Value param(const Shape& shape, float scale = 1) {
    const std::string name = "param" + std::to_string(params_.size());
    params_[name] = random(shape, scale);
    return g.param(name, shape);
  }
  Value optional_param(const Shape& shape) { return chance() ? param(shape) : Value{}; }

  /// Compares engine and interpreter on every output of the graph.
  void check(Value result) {
    g.output("result", result);
    EngineOptions options;
    options.precision = bf16_ ? Precision::kBF16 : Precision::kF32;
    options.threads = static_cast<int>(between(1, 3));
    // Winograd's before all others, or one of those.
    if (chance()) options.product_methods = {chance() ? "gemm" : "onednn"};
    if (chance()) options.longest_call = 1000;  // convolutions in bands of a row or some
    auto engine = make_engine("cpu", options);
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    weights::BoundWeights bound;
    for (const auto& [name, tensor] : params_) bound.insert(name, weights::view_of(tensor));
    auto executable = (*engine)->compile(g, (*engine)->load(std::move(bound)));
    ASSERT_TRUE(executable.ok()) << executable.error().message;
    std::vector<const Tensor*> inputs;
    for (const std::string& name : order_) inputs.push_back(&inputs_[name]);
    const auto want =
        graph::interpret(g, inputs_, [&](const std::string& name) { return params_.at(name); });
    for (int run = 0; run < 2; ++run) {  // the second run starts from what the first left in memory
      auto got = run_once(**executable, inputs, want.size());
      ASSERT_TRUE(got.ok()) << got.error().message;
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_LE(nmse((*got)[i], want[i]), bf16_ ? kLimitBF16 : kLimitF32)
            << "output " << i << " run " << run;
      }
    }
  }

 private:
  Tensor random(const Shape& shape, float scale) {
    Tensor tensor = random_tensor(shape, static_cast<uint32_t>(generator()), scale);
    return bf16_ ? rounded_to_bf16(std::move(tensor)) : tensor;
  }

  bool bf16_;
  std::map<std::string, Tensor> inputs_, params_;
  std::vector<std::string> order_;
};

struct Case {
  const char* name;
  std::function<Value(Trial&)> build;
};

Shape random_shape(Trial& t, int64_t rank) {
  Shape shape;
  for (int64_t d = 0; d < rank; ++d) shape.push_back(t.between(1, d == 0 ? 3 : 19));
  return shape;
}

Value image(Trial& t, int64_t channels) {
  return t.input({t.between(1, 3), channels, t.between(3, 17), t.between(3, 17)});
}

Value convolution(Trial& t, int64_t kernel, int64_t stride, int64_t groups, int64_t dilation) {
  const int64_t in = groups * t.between(1, 33), out = groups * t.between(1, 33);
  const Value x = image(t, in);
  const graph::Padding padding{kernel / 2 * dilation, kernel / 2 * dilation,
                               t.between(0, kernel / 2) + dilation,
                               t.between(0, kernel / 2) + dilation};
  const Value weight = t.param({out, in / groups, kernel, kernel}, 0.2F);
  return t.g.conv2d(x, weight, t.optional_param({out}),
                    {{stride, stride}, padding, {dilation, dilation}, groups});
}

/// Up-sampling that runs as part of a convolution, or that something else needs too.
Value upsampled_convolution(Trial& t) {
  const int64_t in = t.between(1, 40), out = t.between(1, 40), kernel = 2 * t.between(0, 1) + 1;
  const Value large = t.g.upsample_nearest(image(t, in), t.between(1, 3));
  const Value y = t.g.conv2d(large, t.param({out, in, kernel, kernel}, 0.2F), t.param({out}),
                             {{1, 1}, graph::Padding::same(kernel / 2), {1, 1}, 1});
  if (t.chance()) t.g.output("upsampled", large);
  return y;
}

/// Of an image that tokens became, perhaps one pixel high or wide.
Value convolution_of_tokens(Trial& t) {
  const int64_t batch = t.between(1, 2), height = t.between(1, 3), width = t.between(1, 3),
                in = t.between(16, 20), out = t.between(16, 20);
  const Value tokens =
      t.g.reshape(t.input({batch, height * width, in}), {batch, height, width, in});
  return t.g.conv2d(t.g.permute(tokens, {0, 3, 1, 2}), t.param({out, in, 3, 3}, 0.2F),
                    t.param({out}), {{1, 1}, graph::Padding::same(1), {1, 1}, 1});
}

Value binary(Trial& t, Op op) {
  Shape a = random_shape(t, t.between(1, 4)), b = a;
  for (int64_t& size : b) {
    if (t.chance()) size = 1;
  }
  if (t.chance()) b.erase(b.begin());
  Value x = t.input(a), y = t.input(b);
  if (op == Op::kDiv) y = t.g.affine(t.g.unary(Op::kAbs, y), 1, 1);
  return t.chance() || op == Op::kDiv ? t.g.binary(op, x, y) : t.g.binary(op, y, x);
}

Value attention(Trial& t, bool causal) {
  const int64_t heads = t.between(1, 5), size = t.between(1, 90), batch = t.between(1, 3),
                queries = t.between(1, 90);
  const int64_t keys = causal ? queries : t.between(1, 160);
  return t.g.attention(t.input({batch, queries, heads * size}),
                       t.input({batch, keys, heads * size}), t.input({batch, keys, heads * size}),
                       heads, causal);
}

Value norm_with_addend(Trial& t) {
  const int64_t channels = 8 * t.between(1, 12), batch = t.between(1, 3);
  const Value x = t.input({batch, channels, t.between(1, 9), t.between(1, 9)}, 2);
  const Value term = t.g.reshape(t.input({batch, channels}), {batch, channels, 1, 1});
  return t.g.silu(
      t.g.group_norm(t.g.add(x, term), t.param({channels}), t.param({channels}), 8, 1e-5F));
}

/// By the statistics of another tensor, which has another size.
Value norm_by_others(Trial& t) {
  const int64_t channels = 8 * t.between(1, 12), batch = t.between(1, 3);
  const Value other = t.input({batch, channels, t.between(2, 9)}, 2);
  const Value x = t.input({batch, channels, t.between(1, 9), t.between(1, 9)}, 2);
  return t.g.silu(t.g.group_normalise(x, t.g.group_statistics(other, 8), t.param({channels}),
                                      t.param({channels}), 1e-2F));
}

/// Tokens of a picture merged and spread again, and where each went.
Value token_merging(Trial& t) {
  const int64_t height = t.between(2, 9), width = t.between(2, 9), batch = t.between(1, 3),
                channels = t.between(1, 60), tokens = height * width,
                destinations = (height / 2) * (width / 2);
  const int64_t merged = t.between(0, tokens - destinations);
  const Value scores = t.input_f32({batch, tokens, destinations});
  const Value slots = t.g.token_slots(scores, height, width, merged);
  t.g.output("slots", slots);
  const Value few = t.g.merge_tokens(t.input({batch, tokens, channels}), slots, tokens - merged);
  t.g.output("merged", few);
  return t.g.unmerge_tokens(few, slots);
}

/// A residual block as denoisers have it: everything that fuses, and a shared input.
Value residual_block(Trial& t) {
  const int64_t in = 32, out = t.chance() ? 32 : 64;
  const Value x = image(t, in);
  Value h = t.g.silu(t.g.group_norm(x, t.param({in}), t.param({in}), 32, 1e-5F));
  h = t.g.conv2d(h, t.param({out, in, 3, 3}, 0.05F), t.param({out}),
                 {{1, 1}, graph::Padding::same(1), {1, 1}, 1});
  const Value skip =
      in == out ? x : t.g.conv2d(x, t.param({out, in, 1, 1}, 0.2F), t.param({out}), {});
  return t.chance() ? t.g.add(skip, h) : t.g.add(h, skip);
}

Value unusual_layouts(Trial& t) {
  const Value x = image(t, 6);  // [B, 6, H, W]
  const Shape s = t.g.shape(x);
  const Value tokens = t.g.reshape(t.g.permute(x, {0, 2, 3, 1}), {s[0], s[2] * s[3], 6});
  const Value part = t.g.slice(tokens, 2, 1, 5);
  const Value y = t.g.linear(part, t.param({6, 4}), {});
  const Value back = t.g.permute(t.g.reshape(y, {s[0], s[2], s[3], 6}), {0, 3, 1, 2});
  return t.g.reshape(t.g.mul(back, x), {s[0], 6 * s[2], s[3]});
}

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"silu", [](Trial& t) { return t.g.silu(t.input(random_shape(t, 3), 3)); }},
      {"gelu", [](Trial& t) { return t.g.gelu(t.input(random_shape(t, 2), 3)); }},
      {"gelu_tanh",
       [](Trial& t) { return t.g.unary(Op::kGeluTanh, t.input(random_shape(t, 2), 3)); }},
      {"quick_gelu", [](Trial& t) { return t.g.quick_gelu(t.input(random_shape(t, 2), 3)); }},
      {"relu", [](Trial& t) { return t.g.unary(Op::kRelu, t.input(random_shape(t, 4))); }},
      {"sigmoid", [](Trial& t) { return t.g.unary(Op::kSigmoid, t.input(random_shape(t, 4), 3)); }},
      {"tanh", [](Trial& t) { return t.g.unary(Op::kTanh, t.input(random_shape(t, 3), 2)); }},
      {"exp", [](Trial& t) { return t.g.unary(Op::kExp, t.input(random_shape(t, 3))); }},
      {"sin", [](Trial& t) { return t.g.unary(Op::kSin, t.input(random_shape(t, 3), 4)); }},
      {"cos", [](Trial& t) { return t.g.unary(Op::kCos, t.input(random_shape(t, 3), 4)); }},
      {"sqrt",
       [](Trial& t) {
         return t.g.unary(Op::kSqrt, t.g.unary(Op::kAbs, t.input(random_shape(t, 3))));
       }},
      {"square", [](Trial& t) { return t.g.unary(Op::kSquare, t.input(random_shape(t, 3))); }},
      {"abs", [](Trial& t) { return t.g.unary(Op::kAbs, t.input(random_shape(t, 3))); }},
      {"affine", [](Trial& t) { return t.g.affine(t.input(random_shape(t, 4)), 1.5F, -0.25F); }},
      {"clamp", [](Trial& t) { return t.g.clamp(t.input(random_shape(t, 4), 2), -1, 1.5F); }},
      {"add", [](Trial& t) { return binary(t, Op::kAdd); }},
      {"sub", [](Trial& t) { return binary(t, Op::kSub); }},
      {"mul", [](Trial& t) { return binary(t, Op::kMul); }},
      {"div", [](Trial& t) { return binary(t, Op::kDiv); }},
      {"maximum", [](Trial& t) { return binary(t, Op::kMaximum); }},
      {"constant",
       [](Trial& t) {
         return t.g.add(t.input({2, 3}), t.g.constant({{3}, {1, 2, 4}}));
       }},
      {"param_as_operand",
       [](Trial& t) {
         return t.g.add(t.input({2, 7}), t.param({7}));
       }},
      {"linear",
       [](Trial& t) {
         const int64_t k = t.between(1, 70), n = t.between(1, 70);
         return t.g.linear(t.input({t.between(1, 3), t.between(1, 40), k}), t.param({n, k}),
                           t.optional_param({n}));
       }},
      {"linear_gelu_residual",
       [](Trial& t) {
         const int64_t k = t.between(1, 70), rows = t.between(1, 30);
         const Value x = t.input({2, rows, k});
         return t.g.add(x, t.g.quick_gelu(t.g.linear(x, t.param({k, k}, 0.2F), t.param({k}))));
       }},
      {"matmul",
       [](Trial& t) {
         const int64_t m = t.between(1, 20), k = t.between(1, 20), n = t.between(1, 20),
                       b = t.between(1, 3);
         const bool transposed = t.chance();
         return t.g.matmul(t.input({b, m, k}),
                           t.input(transposed ? Shape{b, n, k} : Shape{b, k, n}), transposed);
       }},
      {"conv3x3", [](Trial& t) { return convolution(t, 3, 1, 1, 1); }},
      {"conv3x3_stride2", [](Trial& t) { return convolution(t, 3, 2, 1, 1); }},
      {"conv_upsampled", upsampled_convolution},
      {"conv_of_tokens", convolution_of_tokens},
      {"conv1x1", [](Trial& t) { return convolution(t, 1, 1, 1, 1); }},
      {"conv5x5_dilated", [](Trial& t) { return convolution(t, 3, 1, 1, 2); }},
      {"conv_grouped", [](Trial& t) { return convolution(t, 3, 1, 3, 1); }},
      {"conv1x1_silu",
       [](Trial& t) {
         return t.g.silu(
             t.g.conv2d(image(t, 24), t.param({40, 24, 1, 1}, 0.2F), t.param({40}), {}));
       }},
      {"group_norm",
       [](Trial& t) {
         const int64_t channels = 4 * t.between(1, 20);
         return t.g.group_norm(
             t.input({t.between(1, 3), channels, t.between(1, 9), t.between(1, 9)}, 2),
             t.param({channels}), t.param({channels}), 4, 1e-5F);
       }},
      {"group_norm_tokens",
       [](Trial& t) {
         return t.g.group_norm(t.input({2, 32, t.between(1, 40)}), t.param({32}), t.param({32}), 32,
                               1e-6F);
       }},
      {"group_norm_addend_silu", norm_with_addend},
      {"group_statistics",
       [](Trial& t) {
         const int64_t channels = 4 * t.between(1, 20);
         return t.g.group_statistics(
             t.input({t.between(1, 3), channels, t.between(1, 9), t.between(1, 9)}, 2), 4);
       }},
      {"group_normalise", norm_by_others},
      {"layer_norm",
       [](Trial& t) {
         const int64_t size = t.between(2, 90);
         return t.g.layer_norm(t.input({2, t.between(1, 20), size}), t.optional_param({size}),
                               t.optional_param({size}), 1e-5F);
       }},
      {"rms_norm",
       [](Trial& t) {
         const int64_t size = t.between(1, 90);
         return t.g.rms_norm(t.input({2, t.between(1, 20), size}), t.optional_param({size}), 1e-5F);
       }},
      {"softmax", [](Trial& t) { return t.g.softmax(t.input(random_shape(t, 3), 4)); }},
      {"attention", [](Trial& t) { return attention(t, false); }},
      {"attention_causal", [](Trial& t) { return attention(t, true); }},
      {"geglu",
       [](Trial& t) {
         return t.g.geglu(t.input({2, t.between(1, 20), 2 * t.between(1, 50)}));
       }},
      {"embedding",
       [](Trial& t) {
         Tensor ids({2, 5});
         for (float& id : ids.data) id = static_cast<float>(t.between(0, 12));
         return t.g.embedding(t.input(ids, graph::Numerics::kF32), t.param({13, t.between(1, 40)}));
       }},
      {"timestep_embedding",
       [](Trial& t) {
         return t.g.timestep_embedding(t.input({{2}, {487.25F, 3}}, graph::Numerics::kF32),
                                       2 * t.between(1, 80));
       }},
      {"token_merging", token_merging},
      {"reshape",
       [](Trial& t) {
         return t.g.reshape(t.input({2, 6, 5, 4}), {4, 3, 20});
       }},
      {"permute",
       [](Trial& t) {
         return t.g.permute(t.input(random_shape(t, 4)), {2, 0, 3, 1});
       }},
      {"concat",
       [](Trial& t) {
         const int64_t h = t.between(1, 9), w = t.between(1, 9);
         return t.g.concat(
             {t.input({2, t.between(1, 20), h, w}), t.input({2, t.between(1, 20), h, w})}, 1);
       }},
      {"concat_tokens",
       [](Trial& t) {
         return t.g.concat({t.input({2, 3, 7}), t.input({2, 5, 7})}, 1);
       }},
      {"slice",
       [](Trial& t) {
         return t.g.silu(t.g.slice(t.input({2, t.between(5, 20), 6, 7}), t.between(1, 3), 2, 5));
       }},
      {"pad2d",
       [](Trial& t) {
         return t.g.pad2d(image(t, t.between(1, 9)), {0, 1, 2, 3});
       }},
      {"broadcast",
       [](Trial& t) {
         return t.g.broadcast_to(t.input({3, 1, 5}), {2, 3, 4, 5});
       }},
      {"upsample_nearest",
       [](Trial& t) { return t.g.upsample_nearest(image(t, t.between(1, 40)), t.between(1, 3)); }},
      {"mean", [](Trial& t) { return t.g.mean(t.input(random_shape(t, 4)), t.between(0, 3)); }},
      {"conv2d_of_single_pixels",
       [](Trial& t) {
         const Value x = t.g.reshape(t.input({2, 6}), {2, 6, 1, 1});
         return t.g.conv2d(x, t.param({8, 6, 3, 3}, 0.2F), t.param({8}), {.padding = {1, 1, 1, 1}});
       }},
      {"residual_block", residual_block},
      {"unusual_layouts", unusual_layouts},
  };
  return kCases;
}

class Operators : public ::testing::TestWithParam<std::tuple<size_t, bool>> {};

TEST_P(Operators, EqualTheInterpreter) {
  const auto [index, bf16] = GetParam();
  for (uint32_t seed = 0; seed < 12 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Trial trial(seed, bf16);
    trial.check(cases()[index].build(trial));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Operators,
                         ::testing::Combine(::testing::Range<size_t>(0, cases().size()),
                                            ::testing::Bool()),
                         [](const auto& test) {
                           return std::string(cases()[std::get<0>(test.param)].name) +
                                  (std::get<1>(test.param) ? "_bf16" : "_f32");
                         });

TEST(Operators, EveryOperatorIsTried) {
  std::map<Op, int> seen;
  for (const Case& each : cases()) {
    for (uint32_t seed = 0; seed < 12; ++seed) {
      Trial trial(seed, false);
      (void)each.build(trial);
      for (const graph::Node& node : trial.g.nodes()) ++seen[node.op];
    }
  }
  for (int op = 0; op <= static_cast<int>(Op::kMean); ++op) {
    EXPECT_GT(seen[static_cast<Op>(op)], 0) << graph::op_name(static_cast<Op>(op));
  }
}

}  // namespace
}  // namespace safelight::engine
