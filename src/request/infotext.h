#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "request/request.h"

namespace safelight::request {

/// What a generation text says beyond the request.
using ExtraParameters = std::vector<std::pair<std::string, std::string>>;

/// SD WebUI's generation text of one picture: prompt, "Negative prompt: ...", then "Steps: 20,
/// Sampler: ..., Schedule type: ..., CFG scale: ..., Seed: ..., Size: WxH, Model hash: ..., Model:
/// ..., ..., Version: ..." (its order). `extra` is put in before "Version". A request that the
/// format cannot hold (a prompt with a line "Negative prompt:", say) is kept exactly in a last
/// parameter "Safelight request".
std::string to_infotext(const Request& request, const std::string& model_hash,
                        const std::string& version, const ExtraParameters& extra = {});

struct ParsedInfotext {
  Request request;
  ExtraParameters rest;  ///< parameters that are no fields of a Request, in their order
};

/// Reads generation texts of SD WebUI, Forge, SD.Next and our own. Never fails: what is no
/// parameter is prompt. As in SD WebUI, a text with "Steps" and without "RNG" was drawn with the
/// GPU's generator, and the old form "Sampler: DPM++ 2M Karras" names sampler and schedule.
ParsedInfotext parse_infotext(std::string_view text);

/// Our value of a field with choices for SD WebUI's spelling of it, in any case ("No norm", "GPU");
/// of other fields the value itself. Nothing for a choice that we do not have.
std::optional<std::string> choice_from_webui(const Field& field, const std::string& value);

}  // namespace safelight::request
