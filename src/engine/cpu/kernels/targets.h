#pragma once

// Highway targets of the kernels: plain SSE4, AVX2 and AVX-512, besides the baseline that Highway
// always has. Must come before Highway's own headers.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
