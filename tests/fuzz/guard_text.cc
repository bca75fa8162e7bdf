// Fuzzes stage 0 of the guard: folding, words, leetspeak, word lists, features.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "base/text.h"
#include "guard/blocklist.h"
#include "guard/text_features.h"
#include "guard/text_normaliser.h"

namespace {

using namespace safelight::guard;

void check_features(const SparseFeatures& features) {
  double squares = 0;
  for (const auto& [bucket, value] : features) {
    if (bucket >= kBuckets) std::abort();
    squares += double{value} * value;
  }
  if (!features.empty() && std::abs(squares - 1) > 1e-3) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string folded = fold_text(text);
  if (safelight::find_invalid_utf8(folded) != std::string_view::npos) std::abort();
  const auto words = words_of(folded);
  for (const std::string_view word : words) {
    if (word.empty()) std::abort();
  }
  check_features(word_features(words));
  check_features(piece_features(folded));
  for (const float value : form_features(words)) {
    if (!std::isfinite(value)) std::abort();
  }
  if (const auto plain = read_leetspeak(folded); plain && plain->size() > folded.size())
    std::abort();

  static const Blocklist fixed = [] {
    Blocklist list;
    if (!list.add("nude\nfuck\nchild porn\n裸体\n", 3, "fixed", true)) std::abort();
    return list;
  }();
  for (const BlocklistMatch& match : fixed.find(folded)) {
    if (match.list != "fixed") std::abort();
  }
  Blocklist list;
  if (list.add(text, 0, "fuzz", false)) (void)list.find(folded);
  return 0;
}
