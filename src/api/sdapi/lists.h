#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/backend.h"
#include "api/options.h"

namespace safelight::api::sdapi {

boost::json::array samplers(const Catalog& catalog);
boost::json::array schedulers(const Catalog& catalog);
boost::json::array upscalers();
boost::json::array prompt_styles(Catalog& catalog);
boost::json::array wildcards(Catalog& catalog);

/// A checkpoint as an entry of "sd-models". The hash stands there when it is known already.
boost::json::object sd_model(const ModelInfo& model);
boost::json::array sd_models(Catalog& catalog);
/// The files of VAEs, as GET sd-vae tells them.
boost::json::array sd_vaes(Catalog& catalog);
/// Those of UNets, as SD.Next's GET unets.
boost::json::array unets(Catalog& catalog);

/// "loras" as SD WebUI lists them.
boost::json::array loras(Catalog& catalog);
/// "embeddings": those that the model takes are "loaded", the others "skipped".
boost::json::object embeddings(Catalog& catalog, const std::string& model);
/// SD.Next's "extra-networks": checkpoints, LoRAs, embeddings and VAEs.
boost::json::array extra_networks(Catalog& catalog);

/// What is set as "options"; the checkpoint by its title, also where none was chosen.
boost::json::object options(const Options& options, Catalog& catalog);
/// Types, labels, sections and defaults of all options.
boost::json::object options_info();

/// SD WebUI's "memory": this process and its workers, in bytes.
boost::json::object memory(const Workers& workers);
/// SD.Next's "platform" of this machine.
boost::json::object platform(const ServerFacts& facts, const Workers& workers);

}  // namespace safelight::api::sdapi
