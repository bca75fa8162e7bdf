#pragma once

#include <filesystem>
#include <string>

#include "app/paths.h"
#include "app/server_settings.h"
#include "base/result.h"

namespace safelight::app {

/// Where a server keeps its own and its users' files.
struct ServerFolders {
  std::filesystem::path data;     ///< jobs, results, keys, options
  std::filesystem::path outputs;  ///< pictures that are saved besides
};

/// By the settings, else by the XDG specification.
ServerFolders server_folders(const ServerSettings& settings, const Paths& paths);

/// The key of this server's signatures, from its data folder; made at random the first time, for
/// its user alone to read. Errors: those of reading and writing.
Result<std::string> server_key(const std::filesystem::path& data_folder);

}  // namespace safelight::app
