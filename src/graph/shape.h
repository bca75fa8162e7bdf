#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace safelight::graph {

/// Dimensions, outermost first; images are [B, C, H, W]. A scalar has none.
using Shape = std::vector<int64_t>;

/// "[2, 4, 64, 64]"
std::string to_string(const Shape& shape);

/// Product of the dimensions.
int64_t element_count(const Shape& shape);

/// Row-major strides in elements.
Shape dense_strides(const Shape& shape);

/// Sets `result` to the shape that NumPy's broadcasting rules give for a and b; false where they do
/// not fit.
bool broadcast(const Shape& a, const Shape& b, Shape& result);

}  // namespace safelight::graph
