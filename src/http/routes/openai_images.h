#pragma once

#include "api/backend.h"
#include "api/openai/images_reply.h"
#include "http/exchange.h"

namespace safelight::http {

Reply openai_error_reply(const api::openai::ApiError& error);

/// An error of looking for a model, with OpenAI's own code.
api::openai::ApiError no_such_model(const Error& error);

/// POST /v1/images/generations: submits a job, waits for its end and answers with its pictures, or
/// streams previews and pictures.
Awaitable<Reply> create_image(Exchange& exchange, api::Backend& backend);

}  // namespace safelight::http
