#include "engine/cpu/isa.h"

#include <gtest/gtest.h>
#include <oneapi/dnnl/dnnl.h>

#include <cstdlib>

#include <hwy/targets.h>

namespace safelight::engine::cpu {
namespace {

/// The limit must be in force before anything is dispatched.
class IsaEnvironment : public ::testing::Environment {
  void SetUp() override { active_isa(); }
};
const ::testing::Environment* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new IsaEnvironment);

TEST(Isa, NamesAreReadBack) {
  for (const Isa isa : {Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    EXPECT_EQ(isa_from_name(isa_name(isa)), isa);
  }
  EXPECT_EQ(isa_name(Isa::kAvx512Bf16), "avx512_bf16");
  EXPECT_EQ(isa_from_name("AVX2"), std::nullopt);
  EXPECT_EQ(isa_from_name(""), std::nullopt);
}

// ctest sets the variable to each name, and to one that is unknown.
TEST(Isa, EnvironmentLimitsWhatIsInUse) {
  const char* name = std::getenv("SAFELIGHT_MAX_ISA");
  const auto limit = isa_from_name(name ? name : "");
  EXPECT_EQ(active_isa(), limit ? std::min(*limit, detect_isa()) : detect_isa());
}

TEST(Isa, HighwayAndOneDnnKeepTheLimit) {
  const int64_t targets = hwy::SupportedTargets();
  EXPECT_EQ((targets & HWY_AVX3) != 0, active_isa() >= Isa::kAvx512);
  EXPECT_EQ((targets & HWY_AVX2) != 0, active_isa() >= Isa::kAvx2);
  EXPECT_NE(targets & HWY_SSE4, 0);
  const dnnl_cpu_isa_t effective = dnnl_get_effective_cpu_isa();
  EXPECT_EQ(effective >= dnnl_cpu_isa_avx512_core, active_isa() >= Isa::kAvx512);
  EXPECT_EQ(effective >= dnnl_cpu_isa_avx2, active_isa() >= Isa::kAvx2);
}

TEST(Isa, ProcessorHasAName) { EXPECT_FALSE(cpu_name().empty()); }

}  // namespace
}  // namespace safelight::engine::cpu
