#include "guard/text_classifier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "guard/text_features.h"
#include "guard/text_normaliser.h"
#include "weights/safetensors.h"

namespace safelight::guard {
namespace {

constexpr std::string_view kFormat = "safelight guard text 1";

Error corrupt(const std::string& what) {
  return {ErrorCode::kCorruptFile,
          fmt::format("the text classifier: {}. Fetch models/guard-text anew", what)};
}

/// The tensor of that name, type and shape; -1 in `shape` is any size.
Result<Bytes> find_tensor(const weights::TensorIndex& index, std::string_view name,
                          graph::DType dtype, const std::vector<int64_t>& shape) {
  const weights::TensorView* tensor = index.find(name);
  if (tensor == nullptr) return corrupt(fmt::format("tensor '{}' is missing", name));
  const bool fits = tensor->dtype == dtype && tensor->shape.size() == shape.size() &&
                    std::equal(shape.begin(), shape.end(), tensor->shape.begin(),
                               [](int64_t want, int64_t got) { return want < 0 || want == got; });
  if (!fits) {
    return corrupt(fmt::format("tensor '{}' is {} {}; it must be {} {}", name,
                               graph::dtype_name(tensor->dtype), tensor->shape,
                               graph::dtype_name(dtype), shape));
  }
  return tensor->data;
}

template <class T>
std::vector<T> copy_of(Bytes data) {
  std::vector<T> values(data.size() / sizeof(T));
  std::memcpy(values.data(), data.data(), values.size() * sizeof(T));
  return values;
}

std::span<const int8_t> as_int8(Bytes data) {
  return {reinterpret_cast<const int8_t*>(data.data()), data.size()};
}

/// Reads floats, all of them finite. `size` is how many there are to be, if that is fixed.
Status read_floats(const weights::TensorIndex& index, std::string_view name,
                   const std::vector<int64_t>& shape, std::vector<float>& out) {
  const Result<Bytes> data = find_tensor(index, name, graph::DType::kF32, shape);
  if (!data) return data.error();
  out = copy_of<float>(*data);
  if (std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x); })) return {};
  return corrupt(fmt::format("tensor '{}' holds numbers that are not finite", name));
}

template <size_t N>
Status read_array(const weights::TensorIndex& index, std::string_view name,
                  std::array<float, N>& out) {
  std::vector<float> values;
  if (Status read = read_floats(index, name, {static_cast<int64_t>(N)}, values); !read) return read;
  std::copy(values.begin(), values.end(), out.begin());
  return {};
}

Status read_keys(const weights::TensorIndex& index, std::string_view name,
                 std::vector<uint32_t>& out) {
  const Result<Bytes> data = find_tensor(index, name, graph::DType::kU32, {-1});
  if (!data) return data.error();
  out = copy_of<uint32_t>(*data);
  if (std::is_sorted(out.begin(), out.end())) return {};
  return corrupt(fmt::format("tensor '{}' is not sorted", name));
}

Result<float> read_threshold(const weights::TensorIndex& index) {
  const auto text = [&](const char* key) {
    const auto found = index.metadata.find(key);
    return found == index.metadata.end() ? std::string() : found->second;
  };
  if (text("format") != kFormat)
    return corrupt(fmt::format("its format is '{}', not '{}'", text("format"), kFormat));
  std::string labels = "unsafe";
  for (const Hazard& hazard : hazards()) labels.append(" ").append(hazard.code);
  if (text("labels") != labels)
    return corrupt(fmt::format("its labels are '{}', not '{}'", text("labels"), labels));
  const float threshold = std::strtof(text("threshold").c_str(), nullptr);
  if (!(threshold > 0 && threshold < 1))
    return corrupt(fmt::format("its threshold '{}' is not between 0 and 1", text("threshold")));
  return threshold;
}

/// The place of a word's key, or nothing.
std::optional<size_t> find_key(const std::vector<uint32_t>& keys, std::string_view word) {
  const uint32_t key = crc32(word);
  const auto found = std::lower_bound(keys.begin(), keys.end(), key);
  if (found == keys.end() || *found != key) return std::nullopt;
  return static_cast<size_t>(found - keys.begin());
}

}  // namespace

void TextScores::raise_to(const TextScores& other) {
  unsafe = std::max(unsafe, other.unsafe);
  for (size_t i = 0; i < kHazards; ++i) hazards[i] = std::max(hazards[i], other.hazards[i]);
}

Result<TextClassifier> TextClassifier::open(const std::filesystem::path& file) {
  Result<weights::TensorIndex> index = weights::open_safetensors(file);
  if (!index) return index.error();
  return from(std::move(*index));
}

Result<TextClassifier> TextClassifier::from(weights::TensorIndex index) {
  TextClassifier classifier;
  classifier.index_ = std::move(index);
  if (Status bound = classifier.bind(); !bound) return bound.error();
  return classifier;
}

Status TextClassifier::bind() {
  constexpr auto kWidth = static_cast<int64_t>(kLabels);
  const Result<float> threshold = read_threshold(index_);
  if (!threshold) return threshold.error();
  threshold_ = *threshold;
  const Result<Bytes> grams =
      find_tensor(index_, "gram.weight", graph::DType::kI8, {2 * int64_t{kBuckets}, kWidth});
  if (!grams) return grams.error();
  grams_ = as_int8(*grams);
  for (const Status& read :
       {read_keys(index_, "word.key", word_keys_), read_keys(index_, "harsh.key", harsh_keys_),
        read_array(index_, "gram.scale", gram_scale_),
        read_array(index_, "word.scale", word_scale_), read_array(index_, "offset", offset_),
        read_floats(index_, "dense.weight", {kHarsh + kForms, kWidth}, dense_),
        read_floats(index_, "calibration", {kWidth, 2}, calibration_)}) {
    if (!read) return read;
  }
  const Result<Bytes> words = find_tensor(index_, "word.weight", graph::DType::kI8,
                                          {static_cast<int64_t>(word_keys_.size()), kWidth});
  if (!words) return words.error();
  words_ = as_int8(*words);
  return read_floats(index_, "harsh.weight", {static_cast<int64_t>(harsh_keys_.size())}, harsh_);
}

std::span<const int8_t> TextClassifier::word_row(std::string_view word) const {
  const std::optional<size_t> place = find_key(word_keys_, word);
  return place ? words_.subspan(*place * kLabels, kLabels) : std::span<const int8_t>{};
}

float TextClassifier::harsh_weight(std::string_view word) const {
  const std::optional<size_t> place = find_key(harsh_keys_, word);
  return place ? harsh_[*place] : 0.0F;
}

TextScores TextClassifier::classify(std::string_view folded) const {
  const std::vector<std::string_view> words = words_of(folded);
  Row hashed{}, known{};
  const auto add_grams = [&](const SparseFeatures& features, size_t first) {
    for (const auto& [bucket, value] : features) {
      const int8_t* row = grams_.data() + (first + bucket) * kLabels;
      for (size_t k = 0; k < kLabels; ++k) hashed[k] += value * static_cast<float>(row[k]);
    }
  };
  add_grams(word_features(words), 0);
  add_grams(piece_features(folded), kBuckets);

  double found = 0;
  std::vector<float> weights;
  weights.reserve(words.size());
  for (const std::string_view word : words) {
    weights.push_back(harsh_weight(word));
    const std::span<const int8_t> row = word_row(word);
    if (row.empty()) continue;
    found += 1;
    for (size_t k = 0; k < kLabels; ++k) known[k] += row[k];
  }

  std::array<float, kHarsh + kForms> dense{};
  const auto harsh = harsh_features(std::move(weights));
  const auto form = form_features(words);
  std::copy(form.begin(), form.end(), std::copy(harsh.begin(), harsh.end(), dense.begin()));

  TextScores scores;
  for (size_t k = 0; k < kLabels; ++k) {
    double total = offset_[k] + hashed[k] * gram_scale_[k];
    if (found > 0) total += known[k] / found * word_scale_[k];
    for (size_t i = 0; i < dense.size(); ++i) total += double{dense[i]} * dense_[i * kLabels + k];
    const double logit = total * calibration_[2 * k] + calibration_[2 * k + 1];
    const auto probability = static_cast<float>(1 / (1 + std::exp(-logit)));
    (k == 0 ? scores.unsafe : scores.hazards[k - 1]) = probability;
  }
  return scores;
}

}  // namespace safelight::guard
