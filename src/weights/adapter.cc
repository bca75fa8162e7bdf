#include "weights/adapter.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "weights/adapter_check.h"
#include "weights/adapter_scale.h"
#include "weights/open_weights.h"
#include "weights/recognise.h"

namespace safelight::weights {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPeftFile = "adapter_model.safetensors";
constexpr uint64_t kMostConfig = 1 << 20;

/// Tells tensors from all others where no hash of their file is known.
std::string hash_of(const TensorIndex& index) {
  std::string all;
  for (const auto& [name, tensor] : index) {
    all += fmt::format("{} {} {}\n", name, graph::dtype_name(tensor.dtype), sha256(tensor.data));
  }
  return sha256(std::as_bytes(std::span(all)));
}

}  // namespace

Result<std::shared_ptr<const Adapter>> Adapter::make(const TensorIndex& index, std::string name) {
  const Identity identity = identify(index);
  if (identity.kind != FileKind::kLora) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} is of kind '{}', not a LoRA or another adapter of layers", name,
                             name_of(identity.kind))};
  }
  const std::shared_ptr<Adapter> adapter(new Adapter());
  adapter->name_ = std::move(name);
  adapter->file_ = read_adapter_file(index);
  adapter->family_ = identity.family;
  for (const AdapterModule& module : adapter->file_.modules) {
    if (Status good = check_adapter_module(module); !good) return good.error().in(adapter->name_);
  }
  adapter->scales_ = adapter_scales(adapter->file_, index.metadata);
  adapter->identity_ = index.identity.empty() ? hash_of(index) : index.identity;
  return std::shared_ptr<const Adapter>(adapter);
}

double Adapter::scale(const AdapterModule& module) const { return scales_.at(module.name); }

Result<std::shared_ptr<const Adapter>> open_adapter(const fs::path& path,
                                                    const std::string& identity) {
  Result<TensorIndex> index = open_weights(path);
  if (!index) return index.error();
  if (!identity.empty()) index->identity = identity;
  const fs::path config = path.parent_path() / kPeftConfig;
  std::error_code ignored;
  if (path.filename() == kPeftFile && fs::exists(config, ignored)) {
    Result<std::string> text = read_file(config, kMostConfig);
    if (!text) return text.error();
    index->metadata[std::string(kPeftConfig)] = std::move(*text);
  }
  return Adapter::make(*index, path.stem().string());
}

}  // namespace safelight::weights
