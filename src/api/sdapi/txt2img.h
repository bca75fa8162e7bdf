#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "api/options.h"
#include "api/submission.h"

namespace safelight::api::sdapi {

/// A body of SD WebUI's /sdapi/v1/txt2img, understood.
struct Txt2Img {
  Submission submission;
  bool send_images = true;
  /// Settings that the client wants to stay set (override_settings_restore_afterwards is false):
  /// for admins only. Checked.
  boost::json::object lasting;
};

/// Reads the fields of SD WebUI and SD.Next: nulls and unknown keys are left out, sizes are rounded
/// down to a multiple of 8, "DPM++ 2M Karras" is taken apart, and what the body leaves open is as
/// the options say. Errors: kInvalidArgument for wrong types and values, kUnsupported for what
/// these APIs know and this server cannot do, each naming the field.
Result<Txt2Img> read_txt2img(const boost::json::value& body, const Options& options,
                             const Catalog& catalog);

/// Whether the body asks for something that this server cannot do. What is switched off, or at a
/// value that changes nothing, is no such thing. Errors: kUnsupported naming the field.
Status check_absent_features(const boost::json::object& body);

}  // namespace safelight::api::sdapi
