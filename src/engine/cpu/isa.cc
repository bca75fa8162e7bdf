#include "engine/cpu/isa.h"

#include <oneapi/dnnl/dnnl.h>
#include <array>
#include <cstdlib>
#include <fstream>

#include "base/log.h"
#include "engine/cpu/kernels/targets.h"

#include <hwy/highway.h>
#include <hwy/targets.h>

namespace safelight::engine::cpu {
namespace {

struct IsaEntry {
  Isa isa;
  std::string_view name;
  dnnl_cpu_isa_t dnnl_limit;
  int64_t hwy_disabled;  ///< Highway targets beyond it
};

constexpr int64_t kAvx512Targets = HWY_AVX3 | HWY_AVX3_DL;

constexpr std::array kIsas = {
    IsaEntry{Isa::kSse4, "sse4", dnnl_cpu_isa_sse41, kAvx512Targets | HWY_AVX2},
    IsaEntry{Isa::kAvx2, "avx2", dnnl_cpu_isa_avx2, kAvx512Targets},
    IsaEntry{Isa::kAvx512, "avx512", dnnl_cpu_isa_avx512_core, 0},
    IsaEntry{Isa::kAvx512Bf16, "avx512_bf16", dnnl_cpu_isa_avx512_core_bf16, 0},
};

/// Reads the limit once, before anything is dispatched.
Isa initial_isa() {
  const Isa there = detect_isa();
  const char* wanted = std::getenv("SAFELIGHT_MAX_ISA");
  if (!wanted || !*wanted) return there;
  const std::optional<Isa> limit = isa_from_name(wanted);
  if (!limit) {
    spdlog::warn(
        "SAFELIGHT_MAX_ISA is '{}'; sse4, avx2, avx512 and avx512_bf16 are known. It is ignored.",
        wanted);
    return there;
  }
  if (*limit >= there) return there;
  const IsaEntry& entry = kIsas[static_cast<size_t>(*limit)];
  dnnl_set_max_cpu_isa(entry.dnnl_limit);
  hwy::DisableTargets(entry.hwy_disabled);
  return *limit;
}

}  // namespace

std::string_view isa_name(Isa isa) { return kIsas[static_cast<size_t>(isa)].name; }

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const IsaEntry& entry : kIsas) {
    if (entry.name == name) return entry.isa;
  }
  return std::nullopt;
}

Isa detect_isa() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::kAvx512Bf16;
  if (avx512) return Isa::kAvx512;
  return avx2 ? Isa::kAvx2 : Isa::kSse4;
}

Isa active_isa() {
  static const Isa isa = initial_isa();
  return isa;
}

std::string cpu_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "x86-64 processor";
}

}  // namespace safelight::engine::cpu
