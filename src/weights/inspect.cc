#include "weights/inspect.h"

#include <utility>

#include "weights/open_weights.h"
#include "weights/recognise.h"

namespace safelight::weights {
namespace {

void count(const TensorView& tensor, ComponentReport& into) {
  const int64_t elements = tensor.count();
  ++into.tensors;
  into.parameters += elements;
  into.bytes += tensor.data.size();
  into.parameters_by_dtype[tensor.dtype] += elements;
}

}  // namespace

FileReport inspect(const TensorIndex& index, const InspectOptions& options) {
  const Identity identity = identify(index);
  FileReport report{.format = index.format,
                    .kind = identity.kind,
                    .family = identity.family,
                    .dialect = identity.dialect,
                    .total = {.name = "total"},
                    .metadata = index.metadata};
  const bool sharded = index.files().size() > 1 && index.format == FileFormat::kSafetensors;
  if (sharded) report.format = FileFormat::kShardedSafetensors;
  // Only there do configs have the names of components.
  if (index.configs.upper_bound("") != index.configs.end()) {
    report.format = FileFormat::kDiffusersFolder;
  }
  std::map<std::string_view, ComponentReport> components;
  for (const auto& [name, tensor] : index) {
    count(tensor, report.total);
    count(tensor, components[identity.component_of(name)]);
    if (options.list_tensors) report.tensors.push_back({name, tensor.dtype, tensor.shape});
  }
  for (auto& [name, component] : components) {
    component.name = name;
    report.components.push_back(std::move(component));
  }
  return report;
}

Result<FileReport> inspect(const std::filesystem::path& path, const InspectOptions& options) {
  const Result<TensorIndex> index = open_weights(path);
  if (!index) return index.error();
  FileReport report = inspect(*index, options);
  report.path = path.string();
  return report;
}

}  // namespace safelight::weights
