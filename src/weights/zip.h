#pragma once

#include <map>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace safelight::weights {

struct ZipEntry {
  Bytes data;         ///< as it lies in the archive; empty if not plain
  bool plain = true;  ///< neither compressed nor encrypted
};

/// The files of a zip archive by name; names and bytes lie in the archive.
using ZipEntries = std::map<std::string_view, ZipEntry>;

/// Lists a zip archive (PKWARE APPNOTE 6.3, with zip64). Nothing is unpacked, so that nothing can
/// grow; checksums are not computed. Errors: kCorruptFile for an archive that is cut short or
/// contradicts itself.
Result<ZipEntries> read_zip_directory(Bytes file);

}  // namespace safelight::weights
