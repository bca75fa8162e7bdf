#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/body_field.h"
#include "api/submission.h"

namespace safelight::api::openai {

/// What a client asked for with POST /v1/images/generations.
struct ImagesBody {
  Submission submission;  ///< its request's model is empty for OpenAI's names
  bool urls = false;      ///< signed URLs instead of base64
  bool stream = false;
  int64_t partial_images = 0;
  std::string quality = "medium";  ///< low, medium or high, as answers tell it
  std::vector<std::string> notes;  ///< what was asked for and has no effect here
};

/// The fields of the body beside those of a request, which it may have too.
std::span<const BodyField> images_fields();

/// Whether the name is of one of OpenAI's models (gpt-image-1, dall-e-3, ...), for which the loaded
/// or the default model stands in.
bool is_openai_model(std::string_view name);

/// Reads the body; the first thing that is wrong, if any.
std::optional<FieldError> read_images_body(const boost::json::value& json, ImagesBody& body);

}  // namespace safelight::api::openai
