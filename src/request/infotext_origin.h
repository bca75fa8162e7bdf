#pragma once

#include "request/infotext_pairs.h"

namespace safelight::request {

/// Gives the parameters of other programs and older versions the names and meanings that they have
/// in SD WebUI 1.10: keys of SD.Next, samplers named with their schedule, networks that were asked
/// for beside the prompt, hashes in JSON. What a program left out because it was its default is put
/// in where that default is not ours.
void to_webui(InfotextParts& parts);

}  // namespace safelight::request
