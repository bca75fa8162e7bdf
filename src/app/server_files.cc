#include "app/server_files.h"

#include "base/file.h"
#include "base/secrets.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

constexpr size_t kKeyBytes = 32;

fs::path folder_or(const std::string& given, const fs::path& otherwise) {
  return given.empty() ? otherwise : fs::absolute(expand_home(given, process_environment));
}

}  // namespace

ServerFolders server_folders(const ServerSettings& settings, const Paths& paths) {
  return {.data = folder_or(settings.data_dir, paths.server),
          .outputs = folder_or(settings.output_dir, paths.outputs)};
}

Result<std::string> server_key(const fs::path& data_folder) {
  const fs::path file = data_folder / "signing.key";
  auto key = read_file(file, kKeyBytes);
  if (key && key->size() == kKeyBytes) return key;
  if (!key && key.error().code != ErrorCode::kNotFound) return key;
  std::string made = random_bytes(kKeyBytes);
  if (Status written = write_private_file(file, made); !written) return written.error();
  return made;
}

}  // namespace safelight::app
