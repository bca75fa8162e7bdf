#include "app/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "weights/convert.h"
#include "weights/open_weights.h"

namespace safelight::app {
namespace fs = std::filesystem;
namespace {

constexpr std::array kKinds = {
    ModelKind::kCheckpoint, ModelKind::kVae,         ModelKind::kLora,
    ModelKind::kEmbedding,  ModelKind::kControlNet,  ModelKind::kUpscaler,
    ModelKind::kDenoiser,   ModelKind::kTextEncoder, ModelKind::kTinyDecoder};

Error io_error(const fs::path& path, std::string_view action, const std::error_code& cause) {
  return {ErrorCode::kIo, fmt::format("{}: cannot {}: {}", path.string(), action, cause.message())};
}

Status copy_file(const fs::path& from, const fs::path& to, const CopyProgress& progress) {
  const auto source = MappedFile::open(from);
  if (!source) return source.error();
  Result<AtomicFile> target = AtomicFile::create(to);
  if (!target) return target.error();
  const Bytes bytes = (*source)->bytes();
  constexpr size_t kPiece = 16 << 20;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    const Bytes piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    if (Status put = target->write(piece); !put) return put;
    (*source)->release(piece);
    if (!progress) continue;
    if (Status going = progress(at + piece.size(), bytes.size()); !going) return going;
  }
  return target->commit();
}

/// A folder is copied beside its place and then renamed.
Status copy_folder(const fs::path& from, const fs::path& to) {
  const fs::path part = to.parent_path() / ("." + to.filename().string() + ".part");
  std::error_code failure;
  fs::create_directories(to.parent_path(), failure);
  fs::remove_all(part, failure);
  fs::copy(from, part, fs::copy_options::recursive, failure);
  if (!failure) fs::rename(part, to, failure);
  if (!failure) return {};
  std::error_code ignored;
  fs::remove_all(part, ignored);
  return io_error(to, "copy the model there", failure);
}

Status link_model(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  fs::create_directories(to.parent_path(), failure);
  if (!failure) fs::create_symlink(fs::absolute(from), to, failure);
  return failure ? Status(io_error(to, "make the link", failure)) : Status();
}

Result<std::string> name_in_store(const fs::path& source, const std::string& asked) {
  // A folder may be given as "model/".
  const fs::path own = source.has_filename() ? source.filename() : source.parent_path().filename();
  if (asked.empty()) return own.string();
  if (asked.find('/') != std::string::npos || asked == "." || asked == "..") {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the name '{}' has a folder in it; a name alone is needed", asked)};
  }
  const bool has_ending = without_model_ending(asked) != asked;
  std::error_code ignored;
  if (has_ending || fs::is_directory(source, ignored)) return asked;
  return asked + own.extension().string();
}

Status check_numbers(const weights::TensorIndex& index) {
  for (const auto& [name, tensor] : index) {
    const bool damaged = weights::has_non_finite(tensor);
    tensor.release_pages();
    if (damaged) {
      return Error{ErrorCode::kCorruptFile,
                   fmt::format("{}: tensor '{}' holds NaN or infinite values",
                               index.source_file(name), name)};
    }
  }
  return {};
}

Error another_hash(const fs::path& path, std::string_view whose, std::string_view want,
                   std::string_view got) {
  return {
      ErrorCode::kCorruptFile,
      fmt::format("{}: {} {}, but its content has {}: it is damaged or was changed; get it anew",
                  path.string(), whose, want, got)};
}

}  // namespace

std::optional<ModelKind> kind_of(const weights::FileReport& report) {
  using weights::FileKind;
  switch (report.kind) {
    case FileKind::kCheckpoint:
      return ModelKind::kCheckpoint;
    case FileKind::kDenoiser:
      return ModelKind::kDenoiser;
    case FileKind::kTextEncoder:
      return ModelKind::kTextEncoder;
    case FileKind::kVae:
      return ModelKind::kVae;
    case FileKind::kLora:
      return ModelKind::kLora;
    case FileKind::kEmbedding:
      return ModelKind::kEmbedding;
    case FileKind::kControlNet:
      return ModelKind::kControlNet;
    case FileKind::kUpscaler:
      return ModelKind::kUpscaler;
    case FileKind::kUnknown:
      break;
  }
  return std::nullopt;
}

std::optional<ModelKind> find_kind(std::string_view name) {
  std::string wanted(name);
  std::replace(wanted.begin(), wanted.end(), '-', ' ');
  for (const ModelKind kind : kKinds) {
    if (name_of(kind) == wanted) return kind;
  }
  return std::nullopt;
}

Result<fs::path> add_model(const fs::path& source, const fs::path& models,
                           const AddOptions& options) {
  const Result<weights::FileReport> report = weights::inspect(source);
  if (!report) return report.error();
  const std::optional<ModelKind> kind = options.kind ? options.kind : kind_of(*report);
  if (!kind) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: its content does not tell what kind of model it is; say so with "
                             "--kind",
                             source.string())};
  }
  const Result<std::string> name = name_in_store(source, options.name);
  if (!name) return name.error();
  const fs::path target = models / folder_of(*kind) / *name;
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(target, ignored))) {
    if (!options.replace) {
      return Error{
          ErrorCode::kConflict,
          fmt::format("{}: is there already; --force replaces it, --name gives another name",
                      target.string())};
    }
    if (fs::equivalent(source, target, ignored)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: is the model itself", target.string())};
    }
    const bool file_over_file = fs::is_regular_file(fs::symlink_status(target, ignored)) &&
                                fs::is_regular_file(source, ignored) && !options.link;
    if (!file_over_file) fs::remove_all(target, ignored);
  }
  const Status put = options.link ? link_model(source, target)
                     : fs::is_directory(source, ignored)
                         ? copy_folder(source, target)
                         : copy_file(source, target, options.progress);
  if (!put) return put.error();
  return target;
}

Result<ModelHashes> verify_model(const fs::path& path, HashCache& hashes) {
  const Result<weights::TensorIndex> index = weights::open_weights(path);
  if (!index) return index.error();
  if (Status finite = check_numbers(*index); !finite) return finite.error();
  const auto remembered = hashes.known(path);
  const Result<ModelHashes> now = hashes.compute(path);
  if (!now) return now.error();
  if (remembered && *remembered != now->sha256)
    return another_hash(path, "its SHA-256 was", *remembered, now->sha256);
  const auto told = index->metadata.find("sshs_model_hash");
  if (told != index->metadata.end() && !now->autov3.empty() && told->second != now->autov3)
    return another_hash(path, "it tells of itself the hash", told->second, now->autov3);
  return *now;
}

Status remove_model(const ModelEntry& entry) {
  std::error_code failure;
  const bool link = fs::is_symlink(fs::symlink_status(entry.path, failure));
  if (link || !fs::is_directory(entry.path, failure)) {
    fs::remove(entry.path, failure);
  } else {
    fs::remove_all(entry.path, failure);
  }
  return failure ? Status(io_error(entry.path, "remove it", failure)) : Status();
}

}  // namespace safelight::app
