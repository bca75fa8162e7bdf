#include <array>

#include "api/options.h"

namespace safelight::api {
namespace {

constexpr std::array kSections = {
    OptionSection{"sd", "Stable Diffusion"},
    OptionSection{"sampler-params", "Sampler parameters"},
    OptionSection{"optimizations", "Optimizations"},
    OptionSection{"saving-images", "Saving images"},
    OptionSection{"saving-paths", "Paths for saving"},
    OptionSection{"live-preview", "Live previews"},
};

constexpr auto kBool = OptionType::kBool;
constexpr auto kInteger = OptionType::kInteger;
constexpr auto kNumber = OptionType::kNumber;
constexpr auto kText = OptionType::kText;

// Keys, labels and sections are those of SD WebUI (modules/shared_options.py), so that its clients
// find what they look for; every one of them does something here.
// clang-format off
constexpr std::array kOptions = {
    OptionInfo{"sd_model_checkpoint", "Stable Diffusion checkpoint", "sd", kText, "\"\"", 0, 0, "", "model"},
    OptionInfo{"sd_checkpoint_hash", "SHA256 hash of the current checkpoint", "sd", kText, "\"\"", 0, 0, "", "", true},
    OptionInfo{"sd_vae", "SD VAE", "sd", kText, "\"Automatic\"", 0, 0, "", "vae"},
    OptionInfo{"sd_unet", "SD Unet", "sd", kText, "\"Automatic\"", 0, 0, "", "unet"},
    OptionInfo{"sd_model_refiner", "Refiner model", "sd", kText, "\"None\"", 0, 0, "", "refiner"},
    OptionInfo{"sd_vae_decode_method", "VAE type for decode", "sd", kText, "\"Full\"", 0, 0, "Full|TAESD", "vae_decoder"},
    OptionInfo{"sdxl_crop_top", "SDXL: crop top coordinate", "sd", kInteger, "0", 0, 8192, "", "crop_top"},
    OptionInfo{"sdxl_crop_left", "SDXL: crop left coordinate", "sd", kInteger, "0", 0, 8192, "", "crop_left"},
    OptionInfo{"sdxl_refiner_low_aesthetic_score", "SDXL: low aesthetic score", "sd", kNumber, "2.5", 0, 10, "",
               "negative_aesthetic_score"},
    OptionInfo{"sdxl_refiner_high_aesthetic_score", "SDXL: high aesthetic score", "sd", kNumber, "6.0", 0, 10, "",
               "aesthetic_score"},
    OptionInfo{"CLIP_stop_at_last_layers", "Clip skip", "sd", kInteger, "1", 1, 24, "", "clip_skip"},
    OptionInfo{"emphasis", "Emphasis mode", "sd", kText, "\"Original\"", 0, 0, "Original|No norm|Ignore|ComfyUI", "emphasis"},
    OptionInfo{"randn_source", "Random number generator source", "sd", kText, "\"CPU\"", 0, 0, "CPU|NV|GPU",
               "noise_source"},
    OptionInfo{"sd_noise_schedule", "Noise schedule for sampling", "sampler-params", kText, "\"Default\"", 0, 0,
               "Default|Zero Terminal SNR", "noise_schedule"},
    OptionInfo{"s_churn", "sigma churn", "sampler-params", kNumber, "0", 0, 100, "", "s_churn"},
    OptionInfo{"s_tmin", "sigma tmin", "sampler-params", kNumber, "0", 0, 1e6, "", "s_tmin"},
    OptionInfo{"s_tmax", "sigma tmax; 0 is infinity", "sampler-params", kNumber, "0", 0, 1e6, "", "s_tmax"},
    OptionInfo{"s_noise", "sigma noise", "sampler-params", kNumber, "1", 0, 10, "", "s_noise"},
    OptionInfo{"sigma_min", "sigma min; 0 is the model's own", "sampler-params", kNumber, "0", 0, 10000, "",
               "sigma_min"},
    OptionInfo{"sigma_max", "sigma max; 0 is the model's own", "sampler-params", kNumber, "0", 0, 10000, "",
               "sigma_max"},
    OptionInfo{"rho", "rho; 0 is the schedule's own", "sampler-params", kNumber, "0", 0, 100, "", "rho"},
    OptionInfo{"eta_noise_seed_delta", "Eta noise seed delta", "sampler-params", kInteger, "0", -9e15, 9e15, "",
               "eta_noise_seed_delta"},
    OptionInfo{"s_min_uncond", "Negative Guidance minimum sigma", "optimizations", kNumber, "0", 0, 15, "", "s_min_uncond"},
    OptionInfo{"s_min_uncond_all", "Negative Guidance minimum sigma all steps", "optimizations", kBool, "false", 0, 0, "",
               "s_min_uncond_all"},
    OptionInfo{"skip_early_cond", "Ignore negative prompt during early sampling", "optimizations", kNumber, "0", 0, 1, "",
               "skip_early_cond"},
    OptionInfo{"token_merging_ratio", "Token merging ratio", "optimizations", kNumber, "0", 0, 0.9, "",
               "token_merging_ratio"},
    OptionInfo{"samples_save", "Save images that a request asks to save", "saving-images", kBool, "true"},
    OptionInfo{"samples_format", "File format for images", "saving-images", kText, "\"png\"", 0, 0, "png|jpg|jpeg|webp"},
    OptionInfo{"samples_filename_pattern", "Images filename pattern", "saving-images", kText,
               "\"[seq]-[date]-[model_name]\""},
    OptionInfo{"jpeg_quality", "Quality for saved jpeg and webp images", "saving-images", kInteger, "90", 1, 100},
    OptionInfo{"enable_pnginfo", "Write infotext to metadata of the generated image", "saving-images", kBool, "true"},
    OptionInfo{"outdir_txt2img_samples", "Output directory for txt2img images", "saving-paths", kText, "\"\"", 0, 0, "",
               "", true},
    OptionInfo{"live_previews_enable", "Show live previews of the created image", "live-preview", kBool, "true"},
};
// clang-format on

}  // namespace

std::span<const OptionInfo> Options::table() { return kOptions; }
std::span<const OptionSection> Options::sections() { return kSections; }

const OptionInfo* Options::find(std::string_view key) {
  for (const OptionInfo& option : kOptions) {
    if (option.key == key) return &option;
  }
  return nullptr;
}

}  // namespace safelight::api
