#include "weights/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "weights/byte_reader.h"
#include "weights/messages.h"

namespace safelight::weights {
namespace {

constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kEndSize = 22, kLocator64Size = 20, kEntrySize = 46, kLocalSize = 30;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  ///< the value is in the zip64 part
constexpr uint16_t kZip64Id = 1;

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }

template <class T>
T number_at(Bytes bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

/// Where the list of files lies.
struct Directory {
  uint64_t begin = 0, size = 0, count = 0;
};

/// The last place where the end record could be and is: its comment reaches to the end of the file.
std::optional<size_t> find_end(Bytes file) {
  constexpr size_t kMaxComment = 65535;
  if (file.size() < kEndSize) return std::nullopt;
  const size_t last = file.size() - kEndSize;
  for (size_t back = 0; back <= std::min(last, kMaxComment); ++back) {
    const size_t at = last - back;
    if (number_at<uint32_t>(file, at) == kEndSignature &&
        number_at<uint16_t>(file, at + 20) == back)
      return at;
  }
  return std::nullopt;
}

Result<Directory> find_directory(Bytes file) {
  const auto end = find_end(file);
  if (!end) return corrupt("its zip archive has no end: it is cut short; download it again");
  Directory directory{.begin = number_at<uint32_t>(file, *end + 16),
                      .size = number_at<uint32_t>(file, *end + 12),
                      .count = number_at<uint16_t>(file, *end + 10)};
  const bool has_locator = *end >= kLocator64Size &&
                           number_at<uint32_t>(file, *end - kLocator64Size) == kLocator64Signature;
  if (has_locator) {
    constexpr uint64_t kEnd64Size = 56;
    const auto at = number_at<uint64_t>(file, *end - kLocator64Size + 8);
    if (at > file.size() || file.size() - at < kEnd64Size ||
        number_at<uint32_t>(file, at) != kEnd64Signature)
      return corrupt("the zip64 record of its archive is missing");
    directory = {.begin = number_at<uint64_t>(file, at + 48),
                 .size = number_at<uint64_t>(file, at + 40),
                 .count = number_at<uint64_t>(file, at + 32)};
  }
  if (directory.begin > file.size() || directory.size > file.size() - directory.begin ||
      directory.count > directory.size / kEntrySize) {
    return corrupt(
        fmt::format("its zip archive places a list of {} files ({} bytes) at byte {} of "
                    "{}",
                    directory.count, directory.size, directory.begin, file.size()));
  }
  return directory;
}

/// Sizes and place of a file; those that do not fit 32 bits come from the extra fields.
struct Place {
  uint64_t stored = 0, size = 0, header = 0;
};

Status read_zip64(ByteReader extra, Place& place) {
  while (extra.rest() >= 4) {
    const uint16_t id = *extra.number<uint16_t>(), length = *extra.number<uint16_t>();
    const auto field = extra.take(length);
    if (!field) break;
    if (id != kZip64Id) continue;
    ByteReader values(*field);
    // In this order, and only those that are needed.
    for (uint64_t* value : {&place.size, &place.stored, &place.header}) {
      if (*value != kIn64) continue;
      const auto wide = values.number<uint64_t>();
      if (!wide) return corrupt("its zip archive has a file without a size");
      *value = *wide;
    }
  }
  return {};
}

/// The bytes of a file, which follow a header of their own.
Result<Bytes> find_data(Bytes file, std::string_view name, const Place& place) {
  const auto fault = [&](std::string_view what) {
    return corrupt(fmt::format("file '{}' of its zip archive {}", printable(name), what));
  };
  if (place.header > file.size() || file.size() - place.header < kLocalSize ||
      number_at<uint32_t>(file, place.header) != kLocalSignature)
    return fault("is not where the archive says");
  const uint64_t skipped = kLocalSize + uint64_t{number_at<uint16_t>(file, place.header + 26)} +
                           number_at<uint16_t>(file, place.header + 28);
  const uint64_t room = file.size() - place.header;
  if (skipped > room || place.size > room - skipped)
    return fault(fmt::format("has {} bytes, more than are left: it is cut short", place.size));
  return file.subspan(place.header + skipped, place.size);
}

Status read_entry(Bytes file, ByteReader& list, ZipEntries& entries) {
  const auto head = list.take(kEntrySize);
  if (!head || number_at<uint32_t>(*head, 0) != kEntrySignature)
    return corrupt("the list of files of its zip archive is damaged");
  const auto flags = number_at<uint16_t>(*head, 8), method = number_at<uint16_t>(*head, 10);
  Place place{.stored = number_at<uint32_t>(*head, 20),
              .size = number_at<uint32_t>(*head, 24),
              .header = number_at<uint32_t>(*head, 42)};
  const auto name = list.text(number_at<uint16_t>(*head, 28));
  const auto extra = list.take(number_at<uint16_t>(*head, 30));
  const auto comment = list.take(number_at<uint16_t>(*head, 32));
  if (!name || !extra || !comment)
    return corrupt("the list of files of its zip archive is cut short");
  if (Status read = read_zip64(ByteReader(*extra), place); !read) return read;
  if (name->ends_with('/')) return {};
  ZipEntry entry{.data = {}, .plain = (flags & 1) == 0 && method == 0};
  if (entry.plain) {
    const Result<Bytes> data = find_data(file, *name, place);
    if (!data) return data.error();
    entry.data = *data;
  }
  if (!entries.emplace(*name, entry).second)
    return corrupt(fmt::format("file '{}' is in its zip archive twice", printable(*name)));
  return {};
}

}  // namespace

Result<ZipEntries> read_zip_directory(Bytes file) {
  const Result<Directory> directory = find_directory(file);
  if (!directory) return directory.error();
  ByteReader list(file.subspan(directory->begin, directory->size));
  ZipEntries entries;
  for (uint64_t i = 0; i < directory->count; ++i) {
    if (Status read = read_entry(file, list, entries); !read) return read.error();
  }
  return entries;
}

}  // namespace safelight::weights
