#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "guard/evaluation.h"

namespace safelight::guard {

/// What is told of a data set.
struct EvaluationReport {
  std::string dataset, model;  ///< the file; what judged it
  size_t rows = 0, resamples = 0;

  struct Part {
    std::string name, title;  ///< "unsafe" and "any hazard", or "S1" and its name
    Evaluation evaluation;
    double judged_unsafe = 0;  ///< the share of its positives that were judged unsafe over all
  };
  std::vector<Part> parts;  ///< "unsafe" first, then the hazards that have a positive

  struct Source {
    std::string name;
    size_t safe = 0, unsafe = 0;
    size_t false_alarms = 0, hits = 0;
  };
  std::vector<Source> sources;  ///< by name
};

/// Everything, for programs; what is not defined is null.
boost::json::object to_json(const EvaluationReport& report);

/// A table for a terminal.
std::string to_text(const EvaluationReport& report);

/// One page without outside parts: tables, and the curves drawn as SVG.
std::string to_html(const EvaluationReport& report);

}  // namespace safelight::guard
