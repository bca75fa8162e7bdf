#include "engine/cpu/operator_steps.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "engine/cpu/kernels/kernels.h"
#include "weights/convert.h"

namespace safelight::engine::cpu {

void add_attention(PlanBuilder& builder, const std::array<View, 3>& views, const View& out,
                   const graph::AttentionAttributes& attributes, int threads) {
  Attention attention{.batch = out.sizes[0],
                      .heads = attributes.heads,
                      .queries = out.sizes[1],
                      .keys = views[1].sizes[1],
                      .head_size = out.sizes[2] / attributes.heads};
  attention.scale = 1 / std::sqrt(static_cast<float>(attention.head_size));
  attention.causal = attributes.causal;
  attention.q.buffer.storage = builder.storage(views[0]);
  attention.k.buffer.storage = builder.storage(views[1]);
  attention.v.buffer.storage = builder.storage(views[2]);
  attention.out.buffer.storage = builder.storage(out);
  const View scratch = builder.scratch(attention_scratch(attention, threads));
  Step& step = builder.kernel("attention", {views[0], views[1], views[2]}, {out, scratch},
                              [=](const Workspace& workspace) {
                                const auto operand = [&](const View& view) {
                                  return AttentionOperand{workspace.at(view), view.strides[0],
                                                          view.strides[1], attention.head_size};
                                };
                                Attention call = attention;
                                call.q = operand(views[0]);
                                call.k = operand(views[1]);
                                call.v = operand(views[2]);
                                call.out = operand(out);
                                call.stop = workspace.stop();
                                cpu::attention(call, workspace.at(scratch).data, threads);
                              });
  step.layer += fmt::format(" {} heads", attention.heads);
  step.flops = 4.0 * static_cast<double>(graph::element_count(out.sizes)) *
               static_cast<double>(attention.keys) * (attention.causal ? 0.5 : 1.0);
}

void add_embedding(PlanBuilder& builder, const View& ids, const weights::TensorView& table,
                   const View& out) {
  builder.kernel("embedding", {ids}, {out}, [=, &table](const Workspace& workspace) {
    const auto* id = reinterpret_cast<const float*>(workspace.at(ids).data);
    auto* row = reinterpret_cast<float*>(workspace.at(out).data);
    const int64_t rows = table.shape[0], width = table.shape[1];
    for (int64_t i = 0; i < graph::element_count(ids.sizes); ++i, row += width) {
      if (!(id[i] >= 0) || id[i] >= static_cast<float>(rows))
        throw std::out_of_range("embedding: id not in the table");
      const auto first = static_cast<int64_t>(id[i]) * width;
      weights::to_f32(table, first, {row, static_cast<size_t>(width)});
    }
  });
}

void add_timestep_embedding(PlanBuilder& builder, const View& t, const View& out,
                            const graph::TimestepAttributes& attributes) {
  const auto [size, period] = attributes;
  builder.kernel("timestep_embedding", {t}, {out},
                 [=, size = size, period = period](const Workspace& workspace) {
                   const auto* time = reinterpret_cast<const float*>(workspace.at(t).data);
                   auto* row = reinterpret_cast<float*>(workspace.at(out).data);
                   const int64_t half = size / 2;
                   for (int64_t b = 0; b < t.sizes[0]; ++b, row += size) {
                     for (int64_t i = 0; i < half; ++i) {
                       const double frequency =
                           std::exp(-std::log(static_cast<double>(period)) *
                                    static_cast<double>(i) / static_cast<double>(half));
                       row[i] = static_cast<float>(std::cos(time[b] * frequency));
                       row[half + i] = static_cast<float>(std::sin(time[b] * frequency));
                     }
                   }
                 });
}

void add_pad(PlanBuilder& builder, const View& from, const View& out,
             const graph::Padding& padding) {
  View inside = out;
  inside.sizes = from.sizes;
  inside.offset += padding.top * out.strides[2] + padding.left * out.strides[3];
  builder.kernel("pad2d", {from}, {out}, [=](const Workspace& workspace) {
    const Buffer whole = workspace.at(out);
    std::memset(whole.data, 0,
                static_cast<size_t>(graph::element_count(out.sizes)) * storage_size(whole.storage));
    cpu::copy(workspace.strided(from), workspace.strided(inside));
  });
}

void add_upsample(PlanBuilder& builder, const View& from, const View& out,
                  const graph::UpsampleAttributes& attributes) {
  const auto [fy, fx] = attributes;
  const graph::Shape s = from.sizes;
  builder.kernel("upsample_nearest", {from}, {out},
                 [=, fy = fy, fx = fx](const Workspace& workspace) {
                   upsample_nearest(workspace.at(from), workspace.at(out), s[0], s[2], s[3], s[1],
                                    static_cast<int>(fy), static_cast<int>(fx));
                 });
}

void add_token_slots(PlanBuilder& builder, const View& scores, const View& slots,
                     const graph::TokenAttributes& attributes) {
  builder.kernel("token_slots", {scores}, {slots}, [=](const Workspace& workspace) {
    for (int64_t b = 0; b < scores.sizes[0]; ++b) {
      TokenSlots call{
          .height = attributes.height, .width = attributes.width, .merged = attributes.merged};
      call.scores = reinterpret_cast<const float*>(workspace.at(scores).data) +
                    b * scores.sizes[1] * scores.sizes[2];
      call.slots = reinterpret_cast<float*>(workspace.at(slots).data) + b * slots.sizes[1];
      token_slots(call);
    }
  });
}

void add_token_move(PlanBuilder& builder, graph::Op op, const View& x, const View& slots,
                    const View& out) {
  const bool merges = op == graph::Op::kMergeTokens;
  builder.kernel(
      std::string(graph::op_name(op)), {x, slots}, {out}, [=](const Workspace& workspace) {
        const auto picture = [&](const View& view, int64_t b) {
          return Rows{workspace.at(view).at(b * view.strides[0]), view.sizes[1], view.sizes[2],
                      view.strides[1]};
        };
        for (int64_t b = 0; b < out.sizes[0]; ++b) {
          const float* places =
              reinterpret_cast<const float*>(workspace.at(slots).data) + b * slots.sizes[1];
          (merges ? merge_tokens : unmerge_tokens)(picture(x, b), places, picture(out, b));
        }
      });
}

void add_row_mean(PlanBuilder& builder, const View& x, const View& out) {
  builder.kernel("mean", {x}, {out}, [=](const Workspace& workspace) {
    row_mean(workspace.rows(x), reinterpret_cast<float*>(workspace.at(out).data));
  });
}

}  // namespace safelight::engine::cpu
