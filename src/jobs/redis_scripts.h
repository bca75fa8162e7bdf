#pragma once

#include <span>
#include <string>
#include <string_view>

namespace safelight::jobs {

/// A file of lua/, embedded by cmake/EmbedLua.cmake.
struct LuaFile {
  std::string_view name;  ///< without ".lua"
  std::string_view text;
};
std::span<const LuaFile> lua_files();

/// A script as the server runs it: common.lua and the file of that name.
class RedisScript {
 public:
  /// The file must exist; anything else is a bug.
  explicit RedisScript(std::string_view name);

  const std::string& name() const { return name_; }
  const std::string& source() const { return source_; }
  const std::string& sha1() const { return sha1_; }  ///< by which the server knows it

 private:
  std::string name_, source_, sha1_;
};

}  // namespace safelight::jobs
