#include "pipelines/model_source.h"

#include <algorithm>

#include "base/text.h"

namespace safelight::pipelines {

bool is_no_name(std::string_view name) {
  const std::string lower = ascii_lower(trimmed(name));
  return lower.empty() || lower == "none" || lower == "automatic" || lower == "default";
}

std::vector<WantedPart> wanted_parts(const request::Request& request) {
  std::vector<WantedPart> wanted;
  if (!is_no_name(request.unet)) wanted.push_back({ModelPart::kUnet, request.unet});
  std::string_view names = request.text_encoder;
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    if (!is_no_name(name)) wanted.push_back({ModelPart::kTextEncoder, std::string(trimmed(name))});
  }
  const std::string vae = ascii_lower(trimmed(request.vae));
  if (vae == "automatic") {
    wanted.push_back({ModelPart::kVae, ""});
  } else if (!is_no_name(vae)) {
    wanted.push_back({ModelPart::kVae, request.vae});
  }
  return wanted;
}

}  // namespace safelight::pipelines
