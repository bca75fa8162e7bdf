#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace safelight::request {

/// Texts that a picture carries, by their keys.
using PictureTexts = std::map<std::string, std::string, std::less<>>;

/// The keys that foreign_infotext reads.
constexpr std::array<std::string_view, 5> kForeignKeys = {"prompt", "invokeai_metadata", "Software",
                                                          "Description", "Comment"};

/// A generation text (request/infotext.h) for what other programs than SD WebUI write into
/// pictures: ComfyUI's graph ("prompt"), InvokeAI's "invokeai_metadata", NovelAI's "Comment". Of a
/// graph the sampler that begins with noise is taken, with what leads to it: prompts, checkpoint,
/// LoRAs, size. Nothing where there is none of these, or no sampler that we understand. Never
/// fails.
std::optional<std::string> foreign_infotext(const PictureTexts& texts);

}  // namespace safelight::request
