// Names of samplers, those of other programs and of flow models; hints on a choice.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/text.h"
#include "diffusion/sampler.h"

namespace safelight::diffusion {
namespace {

TEST(FindSampler, ByNameAndAliasInAnyCase) {
  std::map<std::string, std::string_view> owners;
  const auto check = [&](std::string_view name, const SamplerInfo& info) {
    const auto found = find_sampler(name);
    ASSERT_TRUE(found.ok()) << name;
    EXPECT_EQ(found->sampler, &info) << name;
    EXPECT_FALSE(found->spacing) << name;
    EXPECT_TRUE(owners.emplace(ascii_lower(name), info.name).second) << name << " is named twice";
  };
  for (const SamplerInfo& info : samplers()) {
    check(info.name, info);
    for (std::string_view rest = info.aliases; !rest.empty();) {
      const size_t end = std::min(rest.find(','), rest.size());
      check(rest.substr(0, end), info);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  EXPECT_EQ(samplers().size(), 44U);
  EXPECT_EQ(find_sampler("  eULER A ")->sampler->name, "Euler a");
}

TEST(FindSampler, TakesAScheduleBehindTheName) {
  const auto expect = [](std::string_view text, std::string_view name, Spacing spacing) {
    const auto found = find_sampler(text);
    ASSERT_TRUE(found.ok()) << text;
    EXPECT_EQ(found->sampler->name, name) << text;
    EXPECT_EQ(found->spacing, spacing) << text;
  };
  expect("DPM++ 2M Karras", "DPM++ 2M", Spacing::kKarras);
  expect("dpm++ 2m sde heun exponential", "DPM++ 2M SDE Heun", Spacing::kExponential);
  expect("Euler SGM Uniform", "Euler", Spacing::kSgmUniform);
  expect("k_dpmpp_2m_sde_ka", "DPM++ 2M SDE", Spacing::kKarras);
  expect("k_dpmpp_3m_sde_exp", "DPM++ 3M SDE", Spacing::kExponential);
  expect("dpmpp_2m_sgm_uniform", "DPM++ 2M", Spacing::kSgmUniform);
  expect("DDIM DDIM", "DDIM", Spacing::kDdim);
}

TEST(Hints, TellWhatAChoiceWillNotDo) {
  const auto of = [](std::string_view name, Spacing spacing, int64_t steps, double cfg_scale) {
    std::string all;
    for (const std::string& hint : hints(*find_sampler(name)->sampler, spacing, steps, cfg_scale))
      all += hint + "\n";
    return all;
  };
  EXPECT_EQ(of("Euler", Spacing::kKarras, 1000, 30), "");
  EXPECT_EQ(of("DDIM", Spacing::kAutomatic, 20, 7), "");
  EXPECT_EQ(of("DDIM", Spacing::kKarras, 20, 7),
            "schedule 'Karras' does nothing: DDIM has timesteps of its own\n");
  EXPECT_EQ(of("Euler CFG++", Spacing::kAutomatic, 20, 1.5), "");
  EXPECT_EQ(of("Euler CFG++", Spacing::kAutomatic, 20, 7),
            "Euler CFG++ is for a cfg_scale of 1 to 2; 7 will burn the picture\n");
  EXPECT_EQ(of("DDIM CFG++", Spacing::kAutomatic, 20, 7), "");
  EXPECT_EQ(of("TCD", Spacing::kAutomatic, 60, 1),
            "TCD makes at most 50 steps, of the 60 asked for\n");
  EXPECT_EQ(of("Euler", Spacing::kSdTurbo, 20, 1),
            "schedule 'SD Turbo' has 10 levels, fewer than the 20 steps asked for\n");
}

/// The lists of the programs: each name is one of ours.
TEST(FindSampler, TakesTheNamesOfOtherPrograms) {
  // SD WebUI 1.10's and Forge's names, ComfyUI 0.8's, SD.Next's of the same algorithms.
  for (const auto* name : {"DPM++ 2M",
                           "DPM++ SDE",
                           "DPM++ 2M SDE",
                           "DPM++ 2M SDE Heun",
                           "DPM++ 2S a",
                           "DPM++ 3M SDE",
                           "Euler a",
                           "Euler",
                           "LMS",
                           "Heun",
                           "DPM2",
                           "DPM2 a",
                           "DPM fast",
                           "DPM adaptive",
                           "Restart",
                           "DDIM",
                           "DDIM CFG++",
                           "PLMS",
                           "UniPC",
                           "LCM",
                           "k_dpm_fast",
                           "k_dpm_ad",
                           "restart",
                           "ddim_cfgpp",
                           "unipc",
                           "DDPM",
                           "DEIS",
                           "HeunPP2",
                           "IPNDM",
                           "IPNDM_V",
                           "DPM++ 2M CFG++",
                           "Euler a CFG++",
                           "Euler CFG++",
                           "euler",
                           "euler_cfg_pp",
                           "euler_ancestral",
                           "euler_ancestral_cfg_pp",
                           "heun",
                           "heunpp2",
                           "exp_heun_2_x0",
                           "exp_heun_2_x0_sde",
                           "dpm_2",
                           "dpm_2_ancestral",
                           "lms",
                           "dpm_fast",
                           "dpm_adaptive",
                           "dpmpp_2s_ancestral",
                           "dpmpp_2s_ancestral_cfg_pp",
                           "dpmpp_sde",
                           "dpmpp_sde_gpu",
                           "dpmpp_2m",
                           "dpmpp_2m_cfg_pp",
                           "dpmpp_2m_sde",
                           "dpmpp_2m_sde_gpu",
                           "dpmpp_2m_sde_heun",
                           "dpmpp_2m_sde_heun_gpu",
                           "dpmpp_3m_sde",
                           "dpmpp_3m_sde_gpu",
                           "ddpm",
                           "lcm",
                           "ipndm",
                           "ipndm_v",
                           "deis",
                           "res_multistep",
                           "res_multistep_cfg_pp",
                           "res_multistep_ancestral",
                           "res_multistep_ancestral_cfg_pp",
                           "gradient_estimation",
                           "gradient_estimation_cfg_pp",
                           "er_sde",
                           "seeds_2",
                           "seeds_3",
                           "sa_solver",
                           "sa_solver_pece",
                           "ddim",
                           "uni_pc",
                           "uni_pc_bh2",
                           "SA Solver",
                           "TCD",
                           "ER-SDE",
                           "LMSD",
                           "KDPM2",
                           "KDPM2 a",
                           "PNDM",
                           "Euler SGM",
                           "Euler EDM",
                           "DPM++ 2M EDM",
                           "DPM SDE"})
    EXPECT_TRUE(find_sampler(name).ok()) << name;
  for (const auto* name :
       {"normal", "karras", "exponential", "sgm_uniform", "simple", "ddim_uniform", "beta",
        "linear_quadratic", "kl_optimal", "bong_tangent", "Align Your Steps",
        "Align Your Steps GITS", "Turbo", "Polyexponential", "default", "betas"})
    EXPECT_TRUE(find_spacing(name).ok()) << name;
}

TEST(FindSampler, FlowModelsNamesAreKnownAndRefused) {
  for (const auto* name : {"Euler FlowMatch", "DPM2++ 2M SDE FlowMatch", "UniPC FlowMatch",
                           "flow_match_euler", "Heun Flow Match"}) {
    const auto found = find_sampler(name);
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_EQ(found.error().code, ErrorCode::kUnsupported) << name;
  }
  EXPECT_EQ(find_sampler("Euler FlowMatch").error().message,
            "sampler 'Euler FlowMatch' is for flow models, and no family here is one; the same "
            "name without it is for Stable Diffusion's");
  EXPECT_EQ(find_spacing("flowmatch").error().code, ErrorCode::kUnsupported);
}

TEST(FindSampler, NamesTheNearestOfAnUnknownOne) {
  const auto unknown = find_sampler("Eular");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(unknown.error().message, "sampler 'Eular' is unknown; did you mean 'Euler'?");
  EXPECT_EQ(find_sampler("DPM++ 2M Karas").error().message,
            "sampler 'DPM++ 2M Karas' is unknown; did you mean 'DPM++ 2M Karras'?");
  EXPECT_EQ(find_sampler("").error().message,
            "sampler '' is unknown; 'safelight samplers' lists them");
}

}  // namespace
}  // namespace safelight::diffusion
