#include "weights/tensor_view.h"

#include <utility>

namespace safelight::weights {

TensorView view_of(Tensor tensor) {
  const auto owned = std::make_shared<const Tensor>(std::move(tensor));
  return {.dtype = graph::DType::kF32,
          .shape = owned->shape,
          .data = std::as_bytes(std::span(owned->data)),
          .owner = owned};
}

}  // namespace safelight::weights
