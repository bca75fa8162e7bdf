#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace safelight::pipelines {

/// The features of one picture, row by row and channels-last, in the engine's precision: in memory
/// that counts as the engine's, or where that does not fit in a file without a name, which the
/// system keeps in memory as far as it likes.
class FeatureStore {
 public:
  /// Errors: kIo where there is no room for the file in the folder of temporary files.
  static Result<FeatureStore> make(engine::Engine& engine, int64_t rows, int64_t width,
                                   int64_t channels);
  FeatureStore(FeatureStore&& other) noexcept;
  FeatureStore& operator=(FeatureStore&& other) noexcept;
  ~FeatureStore();

  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  int64_t channels() const { return channels_; }

  /// Rows [first, first + count) as [count * width, channels].
  Result<Tensor> read(int64_t first, int64_t count) const;
  /// Writes `count` rows of such a tensor, beginning with its row `from`, to row `first` on.
  Status write(int64_t first, int64_t count, const Tensor& features, int64_t from);

 private:
  FeatureStore() = default;
  size_t row_bytes() const;

  int64_t rows_ = 0, width_ = 0, channels_ = 0;
  bool half_ = false;                  // bf16
  std::shared_ptr<void> reservation_;  // of memory_
  std::vector<std::byte> memory_;      // empty where the file is used
  int file_ = -1;
};

}  // namespace safelight::pipelines
