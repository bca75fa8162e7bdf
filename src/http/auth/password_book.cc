#include "http/auth/password_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/hash.h"
#include "base/secrets.h"

namespace safelight::http {
namespace {

constexpr std::chrono::minutes kRemember{1};
constexpr size_t kMostRemembered = 1024;
constexpr std::string_view kHashMark = "$argon2id$";

/// The users' hashes; what is none yet is hashed now.
std::vector<std::string> hash_all(const std::vector<UserSettings>& users) {
  std::vector<std::string> hashes;
  for (const UserSettings& user : users) {
    if (user.password.starts_with(kHashMark)) {
      hashes.push_back(user.password);
      continue;
    }
    Result<std::string> hash = hash_password(user.password);
    if (!hash) throw std::bad_alloc();
    hashes.push_back(std::move(*hash));
  }
  return hashes;
}

}  // namespace

Result<std::unique_ptr<PasswordBook>> PasswordBook::make(std::vector<UserSettings> users) {
  std::set<std::string> names;
  for (const UserSettings& user : users) {
    const auto fault = [&](std::string_view what) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("user '{}' {}", user.name, what)};
    };
    if (user.name.empty() || user.name.find(':') != std::string::npos)
      return fault("needs a name without ':', which divides it from the password");
    if (user.password.empty()) return fault("has no password");
    if (!names.insert(user.name).second) return fault("is there twice");
    if (!user.password.starts_with(kHashMark)) continue;
    if (Status good = check_password_hash(user.password); !good)
      return good.error().in(fmt::format("user '{}'", user.name));
  }
  return std::unique_ptr<PasswordBook>(new PasswordBook(std::move(users)));
}

PasswordBook::PasswordBook(std::vector<UserSettings> users)
    : users_(std::move(users)), process_key_(random_bytes(32)) {
  if (users_.empty()) return;
  hashes_ = std::async(std::launch::async, hash_all, users_).share();
  for (UserSettings& user : users_) user.password.clear();
}

const UserSettings* PasswordBook::find(std::string_view name) const {
  const auto found = std::find_if(users_.begin(), users_.end(),
                                  [&](const UserSettings& user) { return user.name == name; });
  return found == users_.end() ? nullptr : &*found;
}

bool PasswordBook::check(std::string_view name, std::string_view password) {
  if (users_.empty()) return false;
  const UserSettings* user = find(name);
  // A name that nobody has is checked against somebody's hash, always the same: hashes may differ
  // in what they cost, and a time that no user has would tell.
  const std::string choice = hmac_sha256(process_key_, name);
  const size_t stand_in = std::stoul(choice.substr(0, 8), nullptr, 16) % users_.size();
  const size_t index = user == nullptr ? stand_in : static_cast<size_t>(user - users_.data());
  ++checks_;
  const bool right = check_password(hashes_.get()[index], password);
  return right && user != nullptr;
}

std::string PasswordBook::fingerprint(std::string_view name, std::string_view password) const {
  return hmac_sha256(process_key_, fmt::format("{}:{}:{}", name.size(), name, password));
}

bool PasswordBook::remembers(std::string_view name, std::string_view password, Instant now) {
  const std::string print = fingerprint(name, password);
  const std::lock_guard lock(mutex_);
  const auto found = remembered_.find(print);
  return found != remembered_.end() && now < found->second;
}

void PasswordBook::remember(std::string_view name, std::string_view password, Instant now) {
  const std::string print = fingerprint(name, password);
  const std::lock_guard lock(mutex_);
  std::erase_if(remembered_, [&](const auto& entry) { return entry.second <= now; });
  if (remembered_.size() >= kMostRemembered) remembered_.clear();
  remembered_[print] = now + kRemember;
}

}  // namespace safelight::http
