#include <algorithm>

#include "graph/reference_operators.h"

namespace safelight::graph::reference {

void linear(const Operands& in, Tensor& out) {
  const int64_t n = in[1]->shape[0], k = in[1]->shape[1],
                rows = in[0]->size() / std::max<int64_t>(k, 1);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < n; ++o) {
      double sum = in[2] ? in[2]->data[o] : 0;
      for (int64_t i = 0; i < k; ++i)
        sum += static_cast<double>(in[0]->data[r * k + i]) * in[1]->data[o * k + i];
      out.data[r * n + o] = static_cast<float>(sum);
    }
  }
}

void matmul(const Node& node, const Operands& in, Tensor& out) {
  const size_t rank = node.shape.size();
  const int64_t m = node.shape[rank - 2], n = node.shape[rank - 1], k = in[0]->shape[rank - 1];
  const bool transposed = node.as<MatMulAttributes>().transpose_b;
  for (int64_t batch = 0; batch < out.size() / (m * n); ++batch) {
    const float* a = in[0]->begin() + batch * m * k;
    const float* b = in[1]->begin() + batch * k * n;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += static_cast<double>(a[i * k + l]) * (transposed ? b[j * k + l] : b[l * n + j]);
        out.data[(batch * m + i) * n + j] = static_cast<float>(sum);
      }
    }
  }
}

void conv2d(const Node& node, const Operands& in, Tensor& out) {
  const auto& conv = node.as<Conv2dAttributes>();
  const Tensor &x = *in[0], &w = *in[1];
  const int64_t channels = w.shape[1], out_per_group = w.shape[0] / conv.groups;
  size_t at = 0;
  for_each_index(node.shape, [&](const Shape& index) {
    const int64_t b = index[0], o = index[1], first = o / out_per_group * channels;
    double sum = in[2] ? in[2]->data[o] : 0;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t ky = 0; ky < w.shape[2]; ++ky) {
        const int64_t y = index[2] * conv.stride[0] - conv.padding.top + ky * conv.dilation[0];
        if (y < 0 || y >= x.shape[2]) continue;
        for (int64_t kx = 0; kx < w.shape[3]; ++kx) {
          const int64_t column =
              index[3] * conv.stride[1] - conv.padding.left + kx * conv.dilation[1];
          if (column < 0 || column >= x.shape[3]) continue;
          sum +=
              static_cast<double>(
                  x.data[((b * x.shape[1] + first + c) * x.shape[2] + y) * x.shape[3] + column]) *
              w.data[((o * channels + c) * w.shape[2] + ky) * w.shape[3] + kx];
        }
      }
    }
    out.data[at++] = static_cast<float>(sum);
  });
}

}  // namespace safelight::graph::reference
