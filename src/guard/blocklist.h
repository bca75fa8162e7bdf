#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "guard/taxonomy.h"

namespace safelight::guard {

/// A phrase of a list that stands in a text.
struct BlocklistMatch {
  size_t hazard = 0;     ///< index into hazards()
  std::string list;      ///< the list's name: "S12.en"
  std::string phrase;    ///< as the list has it
  bool decides = false;  ///< whether the match alone makes the text unsafe; else it is a hint
};

/// Word lists of stage 0: phrases by hazard and language, the shipped ones and the operator's own.
/// A phrase matches whole words of a folded text, and disguised ones: leetspeak, stretched letters,
/// one letter starred out. Lists are folded like texts, so "NUDE" in a list is "nude". Languages
/// written without spaces match anywhere. Immutable once filled; for any number of threads.
class Blocklist {
 public:
  static constexpr size_t kMaxPhraseWords = 6, kMaxPhrases = 200'000;
  static constexpr uint64_t kMaxFileBytes = uint64_t{8} << 20;

  /// Adds a list: one phrase a line, "#" begins a comment line. `name` is for messages and matches.
  /// Errors: kInvalidArgument naming the line: a phrase of more than kMaxPhraseWords words or of
  /// fewer than two characters once folded ("xxx" is "x"), text that is not UTF-8, more than
  /// kMaxPhrases phrases.
  Status add(std::string_view text, size_t hazard, const std::string& name, bool decides);

  /// Whose lists they are: each match of the operator's decides, of the shipped ones only
  /// those of S4 do.
  enum class Owner { kShipped, kOperator };

  /// Adds the file `<code>.<anything>.txt` ("S12.en.txt"). Errors: kInvalidArgument for another
  /// name; those of read_file and add(), naming the file.
  Status add_file(const std::filesystem::path& file, Owner owner);

  /// Adds every *.txt of a folder, by name. Errors: kNotFound without it; those of add_file().
  Status add_folder(const std::filesystem::path& folder, Owner owner);

  /// All phrases in a folded text, in the order of its words. O(words).
  std::vector<BlocklistMatch> find(std::string_view folded) const;

  size_t size() const { return phrases_.size(); }

 private:
  struct Phrase {
    std::string text;  ///< as the list has it
    size_t hazard;
    size_t list;  ///< index into lists_
    bool decides;
  };

  void find_words(const std::vector<std::string_view>& words,
                  std::vector<BlocklistMatch>& out) const;
  void find_anywhere(std::string_view folded, std::vector<BlocklistMatch>& out) const;
  BlocklistMatch match(const Phrase& phrase) const;

  std::vector<Phrase> phrases_;
  std::vector<std::string> lists_;
  std::unordered_multimap<std::string, size_t> by_words_;  ///< words joined by blanks
  /// Of scripts without spaces, by their first four bytes, all of which begin a character.
  std::unordered_multimap<std::string, std::pair<std::string, size_t>> anywhere_;
  size_t longest_ = 0;  ///< words of the longest phrase
};

}  // namespace safelight::guard
