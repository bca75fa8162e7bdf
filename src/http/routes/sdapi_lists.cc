#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/sdapi/lists.h"
#include "base/json.h"
#include "http/routes/sdapi_parts.h"

namespace safelight::http {
namespace {

namespace json = boost::json;
namespace sdapi = api::sdapi;

/// What clients ask for and there is nothing of: the answer has the shape that they read.
struct EmptyList {
  const char* path;
  const char* answer;  ///< JSON
};

constexpr std::array kEmptyLists = {
    EmptyList{"/sdapi/v1/sd-modules", "[]"},
    EmptyList{"/sdapi/v1/lora", "[]"},
    EmptyList{"/sdapi/v1/loaded-loras", "[]"},
    EmptyList{"/sdapi/v1/hypernetworks", "[]"},
    EmptyList{"/sdapi/v1/face-restorers", "[]"},
    EmptyList{"/sdapi/v1/realesrgan-models", "[]"},
    EmptyList{"/sdapi/v1/detailers", "[]"},
    EmptyList{"/sdapi/v1/latent-upscale-modes", "[]"},
    EmptyList{"/sdapi/v1/scripts", R"({"txt2img":[],"img2img":[]})"},
    EmptyList{"/sdapi/v1/script-info", "[]"},
    EmptyList{"/sdapi/v1/xyz-grid", "[]"},
    EmptyList{"/sdapi/v1/extensions", "[]"},
    EmptyList{"/sdapi/v1/artists", "[]"},
    EmptyList{"/sdapi/v1/artist-categories", "[]"},
    EmptyList{"/sdapi/v1/preprocessors", "[]"},
    EmptyList{"/sdapi/v1/control-models", "[]"},
    EmptyList{"/sdapi/v1/control-modes", "{}"},
    EmptyList{"/sdapi/v1/controlnets", "[]"},
    EmptyList{"/sdapi/v1/ip-adapters", "[]"},
    EmptyList{"/sdapi/v1/gpu", "[]"},
    EmptyList{"/sdapi/v1/gpu-smi", "[]"},
    EmptyList{"/sdapi/v1/torch", "{}"},
    EmptyList{"/controlnet/version", R"({"version":0})"},
    EmptyList{"/controlnet/model_list", R"({"model_list":[]})"},
    EmptyList{"/controlnet/module_list", R"({"module_list":[],"module_detail":{}})"},
    EmptyList{"/controlnet/control_types", R"({"control_types":{}})"},
    EmptyList{"/controlnet/settings", R"({"control_net_unit_count":0})"},
};

}  // namespace

void add_sdapi_lists(Router& router, api::Backend& backend) {
  const auto look = [](std::string_view operation) {
    return sdapi_options(Access::kViewer, operation);
  };
  router.get("/sdapi/v1/samplers", look("sdapi_samplers"), sdapi_at_once([&](Exchange&) {
               return json::value(sdapi::samplers(backend.catalog));
             }));
  router.get("/sdapi/v1/schedulers", look("sdapi_schedulers"), sdapi_at_once([&](Exchange&) {
               return json::value(sdapi::schedulers(backend.catalog));
             }));
  router.get("/sdapi/v1/sd-models", look("sdapi_sd_models"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::sd_models(backend.catalog));
             }));
  router.get("/sdapi/v1/prompt-styles", look("sdapi_prompt_styles"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::prompt_styles(backend.catalog));
             }));
  router.get("/sdapi/v1/wildcards", look("sdapi_wildcards"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::wildcards(backend.catalog));
             }));
  router.get("/sdapi/v1/sd-vae", look("sdapi_sd_vae"), sdapi_blocking([&](Exchange&) {
               return json::value(sdapi::sd_vaes(backend.catalog));
             }));
  router.get("/sdapi/v1/unets", look("sdapi_unets"),
             sdapi_blocking([&](Exchange&) { return json::value(sdapi::unets(backend.catalog)); }));
  router.get("/sdapi/v1/loras", look("sdapi_loras"),
             sdapi_blocking([&](Exchange&) { return json::value(sdapi::loras(backend.catalog)); }));
  router.get("/sdapi/v1/embeddings", look("sdapi_embeddings"), sdapi_blocking([&](Exchange&) {
               return json::value(
                   sdapi::embeddings(backend.catalog, backend.options.text("sd_model_checkpoint")));
             }));
  router.get("/sdapi/v1/extra-networks", look("sdapi_extra_networks"),
             sdapi_blocking(
                 [&](Exchange&) { return json::value(sdapi::extra_networks(backend.catalog)); }));
  router.get("/sdapi/v1/upscalers", look("sdapi_upscalers"),
             sdapi_at_once([](Exchange&) { return json::value(sdapi::upscalers()); }));
  for (const EmptyList& list : kEmptyLists) {
    router.get(list.path, look("sdapi_empty_list"),
               sdapi_at_once([answer = *parse_json(list.answer)](Exchange&) { return answer; }));
  }
}

}  // namespace safelight::http
