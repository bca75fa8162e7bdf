#include "request/filename.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <random>

#include "base/text.h"

namespace safelight::request {
namespace {

constexpr size_t kMaxName = 200, kMaxPrompt = 120;
constexpr size_t kPromptWords = 8;

std::string uuid() {
  std::random_device device;
  std::array<uint32_t, 4> words{device(), device(), device(), device()};
  words[1] = (words[1] & 0xFFFF0FFFU) | 0x4000U;      // version 4 of RFC 9562
  words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;  // its variant
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16,
                     words[1] & 0xFFFF, words[2] >> 16, words[2] & 0xFFFF, words[3]);
}

std::string first_words(std::string_view prompt) {
  std::string words;
  size_t count = 0;
  for (size_t at = 0; at < prompt.size() && count < kPromptWords;) {
    const size_t begin = prompt.find_first_not_of(" \t\n,.:;()[]{}", at);
    if (begin == std::string_view::npos) break;
    at = std::min(prompt.find_first_of(" \t\n,.:;()[]{}", begin), prompt.size());
    words += (words.empty() ? "" : " ") + std::string(prompt.substr(begin, at - begin));
    ++count;
  }
  return words;
}

struct Token {
  std::string_view name;
  std::string (*text)(const FileNameFacts& facts, int64_t number);
};

template <const char* kFormat>
std::string now(const FileNameFacts&, int64_t) {
  return fmt::format(fmt::runtime(kFormat), fmt::localtime(std::chrono::system_clock::now()));
}

constexpr char kDate[] = "{:%Y-%m-%d}", kDateTime[] = "{:%Y%m%d-%H%M%S}", kTime[] = "{:%H%M%S}";

constexpr std::array kTokens = {
    Token{"seq", [](const FileNameFacts&, int64_t number) { return fmt::format("{:05}", number); }},
    Token{"date", &now<kDate>},
    Token{"datetime", &now<kDateTime>},
    Token{"time", &now<kTime>},
    Token{"model_name", [](const FileNameFacts& facts, int64_t) { return facts.model_name; }},
    Token{"model_hash", [](const FileNameFacts& facts, int64_t) { return facts.model_hash; }},
    Token{"seed",
          [](const FileNameFacts& facts, int64_t) { return std::to_string(facts.request.seed); }},
    Token{"steps",
          [](const FileNameFacts& facts, int64_t) { return std::to_string(facts.request.steps); }},
    Token{"cfg", [](const FileNameFacts& facts,
                    int64_t) { return fmt::format("{}", facts.request.cfg_scale); }},
    Token{"sampler", [](const FileNameFacts& facts, int64_t) { return facts.request.sampler; }},
    Token{"schedule", [](const FileNameFacts& facts, int64_t) { return facts.request.schedule; }},
    Token{"width",
          [](const FileNameFacts& facts, int64_t) { return std::to_string(facts.request.width); }},
    Token{"height",
          [](const FileNameFacts& facts, int64_t) { return std::to_string(facts.request.height); }},
    Token{"prompt",
          [](const FileNameFacts& facts, int64_t) {
            return std::string(utf8_prefix(facts.request.prompt, kMaxPrompt));
          }},
    Token{"prompt_words",
          [](const FileNameFacts& facts, int64_t) { return first_words(facts.request.prompt); }},
    Token{"uuid", [](const FileNameFacts&, int64_t) { return uuid(); }},
};

const Token* find_token(std::string_view name) {
  for (const Token& token : kTokens) {
    if (token.name == name) return &token;
  }
  return nullptr;
}

/// Calls text(literal) and token(name) for the parts of a pattern.
template <class Text, class Name>
void parse_pattern(std::string_view pattern, Text text, Name name) {
  while (!pattern.empty()) {
    const size_t open = std::min(pattern.find('['), pattern.size());
    if (open > 0) text(pattern.substr(0, open));
    pattern.remove_prefix(open);
    const size_t close = pattern.find(']');
    if (pattern.empty()) return;
    if (close == std::string_view::npos) return text(pattern);
    name(pattern.substr(1, close - 1));
    pattern.remove_prefix(close + 1);
  }
}

/// Without what some file system or shell cannot take: separators, control characters, dots and
/// spaces at the ends.
std::string safe(std::string_view name) {
  std::string clean;
  for (const char c : name) {
    const bool bad = static_cast<uint8_t>(c) < 0x20 || c == 0x7F ||
                     std::string_view("/\\:*?\"<>|").find(c) != std::string_view::npos;
    clean += bad ? '_' : c;
  }
  clean = std::string(utf8_prefix(clean, kMaxName));
  const size_t begin = clean.find_first_not_of(". ");
  if (begin == std::string::npos) return "picture";
  return clean.substr(begin, clean.find_last_not_of(". ") - begin + 1);
}

}  // namespace

Status check_file_name_pattern(std::string_view pattern) {
  std::string unknown, known;
  parse_pattern(
      pattern, [](std::string_view) {},
      [&](std::string_view name) {
        if (!find_token(name)) unknown = std::string(name);
      });
  if (unknown.empty()) return {};
  for (const Token& token : kTokens)
    known += fmt::format("{}[{}]", known.empty() ? "" : ", ", token.name);
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("the file name pattern has '[{}]'; known are {}", unknown, known)};
}

std::string file_name(std::string_view pattern, const FileNameFacts& facts, int64_t number) {
  std::string name;
  parse_pattern(
      pattern, [&](std::string_view text) { name += text; },
      [&](std::string_view token) {
        if (const Token* found = find_token(token)) name += found->text(facts, number);
      });
  return safe(name);
}

int64_t next_number(const std::filesystem::path& folder) {
  int64_t highest = 0;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(folder, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    int64_t number = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (bad == std::errc() && rest > name.data() && number < (int64_t{1} << 40))
      highest = std::max(highest, number);
  }
  return highest + 1;
}

}  // namespace safelight::request
