#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/sd/products.h"

namespace safelight::bench {

/// Products computed by oneDNN's primitives alone, each on memory of its own in the layouts that
/// oneDNN chooses, without what stands between them in a network: the rate that a program built of
/// oneDNN's primitives can at most have on these shapes.
class OnednnRate {
 public:
  /// Prepares the primitives; `bf16` sets the type of operands and results, else float32. Needs
  /// memory for the largest of the products only. Throws dnnl::error.
  OnednnRate(std::vector<Product> products, bool bf16);
  ~OnednnRate();

  /// Runs each product once and gives the seconds that all of them with their counts would take.
  double run();

  struct Row {
    const Product* product;
    double seconds;      ///< median of its runs
    std::string layout;  ///< "blocked" (oneDNN's choice) or "channels-last", "rows"
  };
  /// Each product with the median of its times in the calls of run().
  std::vector<Row> rows() const;
  /// Seconds of all products with their counts, by those medians.
  double seconds() const;
  double flops() const;

 private:
  struct Timed;
  std::vector<Product> products_;
  std::vector<Timed> timed_;
};

/// "conv2d 2x320x64x64 -> 320 3x3", "matmul 16 x 4096x4096x40"
std::string describe(const Product& product);

}  // namespace safelight::bench
