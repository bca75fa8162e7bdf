#pragma once

#include <span>
#include <string_view>

namespace safelight::http {

/// A file of web/, embedded in the program.
struct WebFile {
  std::string_view name, media_type;
  std::string_view etag;  ///< quoted
  std::string_view data;
};

/// All of them; made by tools/embed_web.py.
std::span<const WebFile> web_files();

}  // namespace safelight::http
