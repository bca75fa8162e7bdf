#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace safelight::text {

/// Words that are put around or behind those of a prompt.
struct Style {
  std::string name;
  std::string prompt, negative_prompt;
  std::filesystem::path file;
  bool operator==(const Style&) const = default;
};

/// Reads SD WebUI's styles.csv: columns name, prompt (or text), negative_prompt, in any order, with
/// others ignored; fields in quotes may have commas, quotes twice and lines in them. A row whose
/// name begins with '#' is a comment. `file` is for messages and Style::file. Errors:
/// kInvalidArgument for what is no UTF-8, and without the columns; a quote that is not closed ends
/// with the text.
Result<std::vector<Style>> read_styles_csv(std::string_view text,
                                           const std::filesystem::path& file);

/// Reads a style, or a list of them, as SD.Next keeps them in files: {"name", "prompt",
/// "negative"}. Its "extra", "wildcards" and "preview" are not read. Names are within `folder`
/// ("Anime/Pastel"), "" for none. Errors: kInvalidArgument.
Result<std::vector<Style>> read_styles_json(std::string_view text,
                                            const std::filesystem::path& file,
                                            const std::string& folder);

/// Puts a style's text into a prompt: in place of itself where the style has "{prompt}", else
/// behind it after ", " (SD WebUI's merge_prompts).
std::string merge_style(std::string_view style, const std::string& prompt);

/// The styles of some files and folders: CSV files, and CSV and JSON files of a folder and its
/// sub-folders. Of equal names in a file the last one counts, as in SD WebUI; of those in several
/// files the first file's.
class StyleLibrary {
 public:
  /// Reads what is there; paths that do not exist are skipped. A file that cannot be read is left
  /// out, and told in `problems`.
  static StyleLibrary read(const std::vector<std::filesystem::path>& paths);

  const std::vector<Style>& styles() const { return styles_; }
  const std::vector<std::string>& problems() const { return problems_; }

  /// Null where there is none. Case counts only where two names differ by it.
  const Style* find(std::string_view name) const;

  /// Puts styles, in their order, into the prompts. Errors: kNotFound for an unknown name, naming
  /// the nearest; with `ignores_unknown` it has no effect, as in SD WebUI. kInvalidArgument for a
  /// prompt that grows beyond 1 MiB.
  Status apply(const std::vector<std::string>& names, bool ignores_unknown, std::string& prompt,
               std::string& negative_prompt) const;

 private:
  void take(Result<std::vector<Style>> styles);
  void read_file_at(const std::filesystem::path& path, const std::string& folder);
  void read_folder(const std::filesystem::path& folder);

  std::vector<Style> styles_;
  std::set<std::string> names_;
  std::vector<std::string> problems_;
};

}  // namespace safelight::text
