#include "graph/graph.h"

#include <gtest/gtest.h>

namespace safelight::graph {
namespace {

TEST(Graph, InfersShapes) {
  Graph g;
  const Value x = g.input("x", {2, 4, 9, 8});
  const Value w = g.param("w", {6, 2, 3, 3});
  const Value conv = g.conv2d(x, w, {}, {{2, 1}, Padding{0, 1, 1, 1}, {1, 1}, 2});
  EXPECT_EQ(g.shape(conv), (Shape{2, 6, 4, 8}));
  EXPECT_EQ(g.shape(g.permute(conv, {0, 2, 3, 1})), (Shape{2, 4, 8, 6}));
  EXPECT_EQ(g.shape(g.slice(conv, -1, 2, 5)), (Shape{2, 6, 4, 3}));
  EXPECT_EQ(g.shape(g.concat({conv, conv}, 1)), (Shape{2, 12, 4, 8}));
  EXPECT_EQ(g.shape(g.upsample_nearest(conv, 2)), (Shape{2, 6, 8, 16}));
  EXPECT_EQ(g.shape(g.mean(conv, 1)), (Shape{2, 1, 4, 8}));
  const Value tokens = g.input("tokens", {2, 5, 12});
  EXPECT_EQ(g.shape(g.linear(tokens, g.param("l", {7, 12}))), (Shape{2, 5, 7}));
  EXPECT_EQ(g.shape(g.geglu(tokens)), (Shape{2, 5, 6}));
  EXPECT_EQ(g.shape(g.attention(tokens, tokens, tokens, 3)), (Shape{2, 5, 12}));
  EXPECT_EQ(g.shape(g.matmul(tokens, tokens, true)), (Shape{2, 5, 5}));
  EXPECT_EQ(g.shape(g.add(tokens, g.param("b", {12}))), (Shape{2, 5, 12}));
}

TEST(Graph, NamesTheBrokenRuleAndTheShapes) {
  Graph g;
  const Value x = g.input("x", {2, 4, 8, 8});
  try {
    (void)g.conv2d(x, g.param("w", {6, 3, 3, 3}), {}, {});
    FAIL() << "a weight for other channels was taken";
  } catch (const GraphError& error) {
    EXPECT_STREQ(error.what(),
                 "conv2d: needs x [B, C, H, W] and weight [O, C / groups, kh, kw]; got [2, 4, 8, "
                 "8], [6, 3, 3, 3]");
  }
  EXPECT_THROW((void)g.reshape(x, {3, 5}), GraphError);
  EXPECT_THROW((void)g.permute(x, {0, 1, 1, 2}), GraphError);
  EXPECT_THROW((void)g.slice(x, 1, 3, 9), GraphError);
  EXPECT_THROW((void)g.slice(x, 4, 0, 1), GraphError);
  EXPECT_THROW((void)g.group_norm(x, g.param("n", {4}), g.param("m", {4}), 3, 1e-5F), GraphError);
  EXPECT_THROW((void)g.group_statistics(x, 3), GraphError);
  const Value scores = g.input("scores", {1, 12, 2}), slots = g.token_slots(scores, 3, 4, 10);
  EXPECT_THROW((void)g.token_slots(scores, 3, 4, 11), GraphError);
  EXPECT_THROW((void)g.token_slots(scores, 2, 4, 1), GraphError);
  EXPECT_THROW((void)g.merge_tokens(g.input("tokens", {1, 11, 5}), slots, 2), GraphError);
  EXPECT_THROW((void)g.add(x, g.param("three", {3})), GraphError);
  EXPECT_THROW((void)g.silu(Value{}), GraphError);
  EXPECT_THROW((void)g.conv2d(x, g.param("big", {1, 4, 11, 11}), {}, {}), GraphError);
}

TEST(Graph, AParamIsOneValue) {
  Graph g;
  EXPECT_EQ(g.param("w", {3, 4}), g.param("w", {3, 4}));
  EXPECT_THROW((void)g.param("w", {4, 3}), GraphError);
}

}  // namespace
}  // namespace safelight::graph
