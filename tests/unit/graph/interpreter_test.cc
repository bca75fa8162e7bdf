#include "graph/interpreter.h"

#include <gtest/gtest.h>

#include <cmath>

namespace safelight::graph {
namespace {

Tensor no_params(const std::string& name) { throw GraphError("no param " + name); }

Tensor run(const Graph& graph, const Tensor& x) {
  return interpret(graph, {{"x", x}}, no_params).at(0);
}

TEST(Interpreter, ConvolutionByHand) {
  Graph g;
  const Value x = g.input("x", {1, 1, 2, 3});
  const Value w = g.constant({{1, 1, 2, 2}, {1, 10, 100, 1000}});
  g.output("y",
           g.conv2d(x, w, g.constant({{1}, {0.5F}}), {{1, 1}, Padding{0, 0, 1, 0}, {1, 1}, 1}));
  const Tensor y = run(g, {{1, 1, 2, 3}, {1, 2, 3, 4, 5, 6}});
  EXPECT_EQ(y.data, (std::vector<float>{5421.5F, 6532.5F, 54.5F, 65.5F}));
}

TEST(Interpreter, AttentionByHand) {
  Graph g;
  const Value x = g.input("x", {1, 2, 1});
  g.output("y", g.attention(x, x, x, 1, true));
  const Tensor y = run(g, {{1, 2, 1}, {1, 2}});
  EXPECT_FLOAT_EQ(y.data[0], 1);  // the first query sees the first key only
  const double a = std::exp(2.0), b = std::exp(4.0);
  EXPECT_FLOAT_EQ(y.data[1], static_cast<float>((1 * a + 2 * b) / (a + b)));
}

TEST(Interpreter, NormsByHand) {
  Graph g;
  const Value x = g.input("x", {1, 2, 2});
  const Value ones = g.constant({{2}, {1, 2}}), shift = g.constant({{2}, {0, 10}});
  g.output("group", g.group_norm(x, ones, shift, 1, 0));
  g.output("layer", g.layer_norm(x, {}, {}, 0));
  g.output("rms", g.rms_norm(x, {}, 0));
  const auto y = interpret(g, {{"x", {{1, 2, 2}, {1, 3, 5, 7}}}}, no_params);
  const float s = std::sqrt(5.0F);
  EXPECT_FLOAT_EQ(y[0].data[0], -3 / s);
  EXPECT_FLOAT_EQ(y[0].data[3], 2 * 3 / s + 10);
  EXPECT_EQ(y[1].data, (std::vector<float>{-1, 1, -1, 1}));
  EXPECT_FLOAT_EQ(y[2].data[0], 1 / s);
}

TEST(Interpreter, GroupNormInPartsByHand) {
  Graph g;
  const Value x = g.input("x", {1, 2, 2});
  const Value weight = g.constant({{2}, {1, 2}}), bias = g.constant({{2}, {0, 10}});
  g.output("own", g.group_statistics(x, 2));
  g.output("y", g.group_normalise(x, g.constant({{1, 1, 2}, {3, 4}}), weight, bias, 5));
  const auto y = interpret(g, {{"x", {{1, 2, 2}, {1, 3, 5, 9}}}}, no_params);
  EXPECT_EQ(y[0].data, (std::vector<float>{2, 1, 7, 4}));
  EXPECT_FLOAT_EQ(y[1].data[0], -2 / 3.0F);  // (1 - 3) / sqrt(4 + 5)
  EXPECT_FLOAT_EQ(y[1].data[3], 2 * 6 / 3.0F + 10);
}

TEST(Interpreter, TokenMergingByHand) {
  // Tokens 0 and 2 of a picture of 2 x 4 are the destinations.
  Graph g;
  const Value scores = g.input("scores", {1, 8, 2}), x = g.input("x", {1, 8, 1});
  const Value slots = g.token_slots(scores, 2, 4, 3);
  g.output("slots", slots);
  const Value few = g.merge_tokens(x, slots, 5);
  g.output("few", few);
  g.output("spread", g.unmerge_tokens(few, slots));
  const Tensor alike{{1, 8, 2}, {9, 9, 1, 5, 9, 9, 4, 3, 0, 0, 2, 2, 3, 4, 4, 0}};
  const auto y = interpret(
      g, {{"scores", alike}, {"x", {{1, 8, 1}, {1, 2, 4, 8, 16, 32, 64, 128}}}}, no_params);
  // The best of all are token 1 (5, of destination 2), then 3 and 6 (4; of 0 and 2), before 7.
  EXPECT_EQ(y[0].data, (std::vector<float>{0, 1, 1, 0, 2, 3, 1, 4}));
  EXPECT_EQ(y[1].data, (std::vector<float>{4.5F, 70 / 3.0F, 16, 32, 128}));
  EXPECT_EQ(y[2].data,
            (std::vector<float>{4.5F, 70 / 3.0F, 70 / 3.0F, 4.5F, 16, 32, 70 / 3.0F, 128}));
}

TEST(Interpreter, MovementByHand) {
  Graph g;
  const Value x = g.input("x", {1, 2, 1, 2});
  g.output("permute", g.permute(x, {3, 1, 0, 2}));
  g.output("concat", g.concat({x, x}, 3));
  g.output("slice", g.slice(x, 1, 1, 2));
  g.output("pad", g.pad2d(x, {1, 0, 0, 1}));
  g.output("up", g.upsample_nearest(x, 2));
  g.output("mean", g.mean(x, 1));
  g.output("broadcast", g.broadcast_to(g.slice(x, 3, 0, 1), {1, 2, 1, 2}));
  const auto y = interpret(g, {{"x", {{1, 2, 1, 2}, {1, 2, 3, 4}}}}, no_params);
  EXPECT_EQ(y[0].data, (std::vector<float>{1, 3, 2, 4}));
  EXPECT_EQ(y[1].data, (std::vector<float>{1, 2, 1, 2, 3, 4, 3, 4}));
  EXPECT_EQ(y[2].data, (std::vector<float>{3, 4}));
  EXPECT_EQ(y[3].data, (std::vector<float>{0, 0, 0, 1, 2, 0, 0, 0, 0, 3, 4, 0}));
  EXPECT_EQ(y[4].data, (std::vector<float>{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}));
  EXPECT_EQ(y[5].data, (std::vector<float>{2, 3}));
  EXPECT_EQ(y[6].data, (std::vector<float>{1, 1, 3, 3}));
}

TEST(Interpreter, RefusesWhatDoesNotFit) {
  Graph g;
  const Value ids = g.input("x", {2}, Numerics::kF32);
  g.output("y", g.embedding(ids, g.constant({{3, 1}, {7, 8, 9}})));
  EXPECT_EQ(run(g, {{2}, {2, 0}}).data, (std::vector<float>{9, 7}));
  EXPECT_THROW(run(g, {{2}, {3, 0}}), GraphError);
  EXPECT_THROW(run(g, {{3}, {0, 0, 0}}), GraphError);
  EXPECT_THROW(interpret(g, {}, no_params), GraphError);
}

}  // namespace
}  // namespace safelight::graph
