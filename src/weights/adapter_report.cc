#include "weights/adapter_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "weights/adapter_file.h"
#include "weights/messages.h"

namespace safelight::weights {
namespace {

namespace json = boost::json;

constexpr size_t kMostTags = 10, kMostNamed = 5;

/// kohya's counts of the tags in each folder of training pictures, the most frequent first.
std::vector<std::string> frequent_tags(const std::string& text) {
  const Result<json::value> parsed = parse_json(text);
  std::map<std::string, int64_t> counts;
  if (!parsed || !parsed->is_object()) return {};
  for (const auto& [folder, tags] : parsed->get_object()) {
    if (!tags.is_object()) continue;
    for (const auto& [tag, count] : tags.get_object()) {
      // A count that is absurd must not overflow the sum.
      if (count.is_int64())
        counts[std::string(tag)] += std::clamp<int64_t>(count.get_int64(), 0, 1 << 30);
    }
  }
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [tag, count] : counts) sorted.emplace_back(-count, tag);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> tags;
  for (size_t i = 0; i < std::min(sorted.size(), kMostTags); ++i) tags.push_back(sorted[i].second);
  return tags;
}

std::vector<std::string> trigger_words(const TensorIndex::Metadata& metadata) {
  if (const auto phrase = metadata.find("modelspec.trigger_phrase");
      phrase != metadata.end() && !phrase->second.empty())
    return {phrase->second};
  const auto tags = metadata.find("ss_tag_frequency");
  return tags == metadata.end() ? std::vector<std::string>() : frequent_tags(tags->second);
}

std::string counted(const std::map<std::string, int64_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", name, count);
  return text;
}

std::string joined(const std::vector<std::string>& texts, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(texts.size(), most); ++i)
    text += (i == 0 ? "" : ", ") + printable(texts[i]);
  return text + (texts.size() > most ? ", ..." : "");
}

json::object counts_json(const std::map<std::string, int64_t>& counts) {
  json::object object;
  for (const auto& [name, count] : counts) object[name] = count;
  return object;
}

json::array texts_json(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

}  // namespace

AdapterReport report_adapter(const TensorIndex& index) {
  AdapterFile file = read_adapter_file(index);
  AdapterReport report{.embeddings = std::move(file.embeddings),
                       .unknown = std::move(file.unknown),
                       .trigger_words = trigger_words(index.metadata)};
  std::set<int64_t> ranks;
  for (const AdapterModule& module : file.modules) {
    const bool dora = module.part("dora") != nullptr || module.part("magnitude") != nullptr;
    const std::string kind(name_of(module.kind));
    ++report.kinds[!dora ? kind : module.kind == AdapterKind::kLora ? "DoRA" : kind + " with DoRA"];
    ++report.networks[module.network];
    if (module.rank() > 0) ranks.insert(module.rank());
  }
  report.ranks.assign(ranks.begin(), ranks.end());
  return report;
}

std::string to_text(const AdapterReport& report) {
  std::string text = fmt::format("{:<12}{}\n", "adapter", counted(report.kinds));
  if (!report.ranks.empty())
    text += fmt::format("{:<12}{}\n", "rank", fmt::join(report.ranks, ", "));
  text += fmt::format("{:<12}{}\n", "modules", counted(report.networks));
  if (!report.trigger_words.empty())
    text += fmt::format("{:<12}{}\n", "words", joined(report.trigger_words, kMostTags));
  if (!report.embeddings.empty())
    text += fmt::format("{:<12}{}\n", "embeddings", joined(report.embeddings, kMostNamed));
  if (!report.unknown.empty()) {
    text += fmt::format("{:<12}{} tensors do nothing: {}\n", "warning", report.unknown.size(),
                        joined(report.unknown, kMostNamed));
  }
  return text;
}

json::object to_json(const AdapterReport& report) {
  return {{"kinds", counts_json(report.kinds)},
          {"networks", counts_json(report.networks)},
          {"ranks", json::array(report.ranks.begin(), report.ranks.end())},
          {"trigger_words", texts_json(report.trigger_words)},
          {"embeddings", texts_json(report.embeddings)},
          {"unknown", texts_json(report.unknown)}};
}

}  // namespace safelight::weights
