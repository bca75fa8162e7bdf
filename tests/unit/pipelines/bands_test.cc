#include "pipelines/bands.h"

#include <gtest/gtest.h>

namespace safelight::pipelines {
namespace {

TEST(Bands, CoverAllRowsOnceAndReachFarEnough) {
  for (int64_t rows = 1; rows < 90; ++rows) {
    for (const int64_t useful : {1, 2, 3, 8, 30}) {
      for (const int64_t reach : {0, 1, 2, 5}) {
        const Bands bands = Bands::cut(rows, useful, reach);
        ASSERT_EQ(bands.begin(0), 0);
        ASSERT_EQ(bands.begin(bands.count), rows);
        ASSERT_LE(bands.height, useful + 2 * reach > rows ? rows : useful + 2 * reach);
        for (int64_t i = 0; i < bands.count; ++i) {
          const int64_t origin = bands.origin(i), end = origin + bands.height;
          const int64_t first = bands.begin(i), last = bands.begin(i + 1);
          ASSERT_LT(first, last);
          ASSERT_TRUE(origin >= 0 && end <= rows);
          ASSERT_TRUE(origin == 0 ? first >= 0 : first - origin >= reach) << rows << " " << useful;
          ASSERT_TRUE(end == rows ? last <= rows : end - last >= reach) << rows << " " << useful;
        }
      }
    }
  }
}

}  // namespace
}  // namespace safelight::pipelines
