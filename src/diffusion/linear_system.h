#pragma once

#include <vector>

namespace safelight::diffusion {

/// Solves the small system a x = b by elimination with pivoting.
std::vector<double> solve(std::vector<std::vector<double>> a, std::vector<double> b);

}  // namespace safelight::diffusion
