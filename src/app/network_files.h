#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/library.h"
#include "base/result.h"
#include "pipelines/networks.h"

namespace safelight::app {

/// The LoRA that a prompt means by `name`: its file's name, what it was called when it was trained
/// (`ss_output_name`), or the beginning of a hash that is remembered; else the one with `hash`,
/// which may be empty. Its own hash is computed and remembered if need be. Errors: kNotFound naming
/// the nearest; those of hashing.
Result<pipelines::NetworkFile> find_lora(Library& library, const std::string& name,
                                         const std::string& hash);

/// The textual inversions whose names `is_wanted` takes.
std::vector<pipelines::NetworkFile> find_embeddings(
    Library& library, const std::function<bool(const std::string&)>& is_wanted);

/// Both, in a library that outlives them.
pipelines::NetworkFinder network_finder(Library& library);

/// Fills a request's lora_hashes for the LoRAs that its prompts name. Errors: those of
/// text::lora_tags and find_lora, but for LoRAs that the request says to skip.
Status resolve_loras(Library& library, request::Request& request);

/// What a LoRA's training called it; nothing where the file does not say or cannot be read.
std::optional<std::string> alias_of(const ModelEntry& entry);

}  // namespace safelight::app
