#pragma once

#include "diffusion/sampler.h"
#include "pipelines/latent_model.h"
#include "request/request.h"

namespace safelight::pipelines {

/// What a request says about the sampler, with names resolved.
struct SamplerPlan {
  const diffusion::SamplerInfo* sampler = nullptr;
  diffusion::Spacing spacing = diffusion::Spacing::kAutomatic;
  diffusion::SamplerOptions options;
  diffusion::SigmaOptions sigma_options;
};

/// A schedule in the sampler's name ("DPM++ 2M Karras") counts where none is asked for apart.
/// Errors: kInvalidArgument for unknown names and for ends of the schedule that this model's levels
/// do not allow; kUnsupported for the names of flow models.
Result<SamplerPlan> plan_sampler(const request::Request& request, const ModelTraits& traits);

/// Aliases of sampler and schedule become the names of our lists, which other programs read in a
/// picture's text: "k_dpmpp_2m_ka" becomes "DPM++ 2M" and "Karras". Unknown names stay.
void use_listed_names(request::Request& request);

}  // namespace safelight::pipelines
