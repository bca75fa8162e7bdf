#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace safelight::engine::cpu {

/// Steps of x86-64 instruction sets that the engine tells apart, each including those before it.
enum class Isa { kSse4, kAvx2, kAvx512, kAvx512Bf16 };

/// The name used by SAFELIGHT_MAX_ISA and `devices`: "sse4", "avx2", "avx512", "avx512_bf16".
std::string_view isa_name(Isa isa);
std::optional<Isa> isa_from_name(std::string_view name);

/// What this processor has.
Isa detect_isa();

/// What is in use: detect_isa() or the limit, whichever is less. The first call reads the
/// environment variable SAFELIGHT_MAX_ISA (for tests and comparisons) and applies it.
Isa active_isa();

/// The processor's own name, e.g. "AMD EPYC 9654 96-Core Processor".
std::string cpu_name();

}  // namespace safelight::engine::cpu
