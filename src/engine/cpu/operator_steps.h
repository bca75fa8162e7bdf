#pragma once

#include <array>

#include "engine/cpu/plan_builder.h"
#include "graph/graph.h"
#include "weights/tensor_view.h"

namespace safelight::engine::cpu {

// Steps of single operators on views that their caller has laid out.

/// Attention of views [B, T, C] whose channels are contiguous: q, k, v -> out, row-major.
void add_attention(PlanBuilder& builder, const std::array<View, 3>& views, const View& out,
                   const graph::AttentionAttributes& attributes, int threads);

/// Rows of `table` [N, C] by float32 ids -> float32. Reads just the rows asked for from the mapped
/// file: a vocabulary is never unpacked whole. The step throws std::out_of_range for other ids.
void add_embedding(PlanBuilder& builder, const View& ids, const weights::TensorView& table,
                   const View& out);

/// t [B] float32 -> [B, size] float32: cosines, then sines, of Vaswani et al. 2017.
void add_timestep_embedding(PlanBuilder& builder, const View& t, const View& out,
                            const graph::TimestepAttributes& attributes);

/// An image -> out, dense and channels-last, with zeros around it.
void add_pad(PlanBuilder& builder, const View& from, const View& out,
             const graph::Padding& padding);

/// A dense channels-last image -> the same by whole factors larger.
void add_upsample(PlanBuilder& builder, const View& from, const View& out,
                  const graph::UpsampleAttributes& attributes);

/// scores [B, N, destinations] float32, row-major -> slots [B, N] float32 (graph::Op::kTokenSlots).
void add_token_slots(PlanBuilder& builder, const View& scores, const View& slots,
                     const graph::TokenAttributes& attributes);

/// x [B, T, C] by slots [B, N], row-major (graph::Op::kMergeTokens and kUnmergeTokens).
void add_token_move(PlanBuilder& builder, graph::Op op, const View& x, const View& slots,
                    const View& out);

/// Rows -> their means, float32.
void add_row_mean(PlanBuilder& builder, const View& x, const View& out);

}  // namespace safelight::engine::cpu
