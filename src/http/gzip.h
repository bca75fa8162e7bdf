#pragma once

#include <string>
#include <string_view>

namespace safelight::http {

/// `text` as a gzip file. `level` 1 (fast) to 9. About 100 MB/s at level 1.
std::string gzip(std::string_view text, int level);

/// Whether a client that sends this Accept-Encoding takes gzip.
bool accepts_gzip(std::string_view accept_encoding);

/// Whether bodies of this media type get smaller by it: text, JSON, scripts, SVG.
bool is_compressible(std::string_view content_type);

}  // namespace safelight::http
