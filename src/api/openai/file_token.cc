#include "api/openai/file_token.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/hash.h"

namespace safelight::api::openai {
namespace {

constexpr size_t kMaxToken = 256;

/// So that a signature under the same key for something else is never one for a file.
std::string signature(std::string_view key, std::string_view link) {
  return hmac_sha256(key, fmt::format("file:{}", link));
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [rest, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (bad != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The part behind the last '-', which `text` loses.
std::string_view cut_last(std::string_view& text) {
  const size_t dash = text.rfind('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view last = text.substr(dash + 1);
  text = text.substr(0, dash);
  return last;
}

}  // namespace

std::string make_file_token(std::string_view key, const FileLink& link) {
  const std::string text = fmt::format("{}-{}-{}", link.job, link.index, link.expires / 1000);
  return text + "-" + signature(key, text);
}

Result<FileLink> read_file_token(std::string_view key, std::string_view token, jobs::Time now) {
  const Error unknown{ErrorCode::kNotFound, "there is no such file"};
  std::string_view rest = token;
  const std::string_view signed_with = cut_last(rest);
  if (token.size() > kMaxToken || !equal_secrets(signature(key, rest), signed_with)) return unknown;
  const auto seconds = number(cut_last(rest));
  const auto index = number(cut_last(rest));
  if (!seconds || !index) return unknown;
  if (*seconds * 1000 <= now) {
    return Error{
        ErrorCode::kForbidden,
        fmt::format("the link has expired; the picture is still a result of job {}", rest)};
  }
  return FileLink{std::string(rest), *index, *seconds * 1000};
}

}  // namespace safelight::api::openai
