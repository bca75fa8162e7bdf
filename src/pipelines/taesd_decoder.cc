#include "pipelines/taesd_decoder.h"

#include <algorithm>

namespace safelight::pipelines {

Result<Tensor> TaesdDecoder::decode(const Tensor& latents, const engine::StopFlag* stop) {
  constexpr int64_t kFactor = models::taesd::Decoder::kFactor;
  const int64_t height = latents.shape[2], width = latents.shape[3];
  const graph::Shape one{1, latents.shape[1], height, width};
  const auto executable =
      executables_.get({height, width}, engine_, weights_, [&](graph::Graph& graph) {
        const graph::Value latent = graph.input("latent", one, graph::Numerics::kF32);
        graph.output("picture", decoder_(graph, latent));
      });
  if (!executable) return executable.error();
  Tensor pictures({0, 3, height * kFactor, width * kFactor});
  Tensor latent(one);
  for (int64_t i = 0; i < latents.shape[0]; ++i) {
    std::copy_n(latents.begin() + i * latent.size(), latent.size(), latent.begin());
    const auto outputs = engine::run_once(**executable, {&latent}, 1, stop);
    if (!outputs) return outputs.error();
    const Tensor& picture = (*outputs)[0];
    pictures.data.insert(pictures.data.end(), picture.begin(), picture.end());
    pictures.shape[0] += 1;
  }
  return pictures;
}

}  // namespace safelight::pipelines
