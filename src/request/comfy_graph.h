#pragma once

#include <boost/json/object.hpp>
#include <optional>

#include "request/request.h"

namespace safelight::request {

/// What a graph of ComfyUI's ("prompt" in its pictures: node by id, each with class_type and
/// inputs) draws first: KSampler, KSamplerAdvanced, SamplerCustom and SamplerCustomAdvanced with
/// the nodes that come with ComfyUI. Nodes of extensions are passed through where their inputs have
/// the usual names. LoRAs become tags in the prompt. Nothing where there is no such sampler.
/// Bounded in work, whatever the graph.
std::optional<Request> request_of_comfy(const boost::json::object& graph);

/// SD WebUI's names of ComfyUI's samplers and schedules; others as they are.
std::string comfy_sampler(std::string_view name);
std::string comfy_schedule(std::string_view name);

}  // namespace safelight::request
