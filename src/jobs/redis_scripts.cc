#include "jobs/redis_scripts.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace safelight::jobs {
namespace {

std::string_view lua_file(std::string_view name) {
  for (const LuaFile& file : lua_files()) {
    if (file.name == name) return file.text;
  }
  throw std::logic_error(fmt::format("no script lua/{}.lua", name));
}

std::string sha1_of(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-1, by which Redis names scripts");
  std::string hex;
  for (unsigned int i = 0; i < size; i++) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace

RedisScript::RedisScript(std::string_view name)
    : name_(name),
      source_(fmt::format("{}\n{}", lua_file("common"), lua_file(name))),
      sha1_(sha1_of(source_)) {}

}  // namespace safelight::jobs
