#include "weights/torch_globals.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "weights/messages.h"

namespace safelight::weights {
namespace {

using graph::DType;

struct NamedType {
  std::string_view name;
  DType type;
};

constexpr NamedType kStorages[] = {
    {"DoubleStorage", DType::kF64},    {"FloatStorage", DType::kF32},  {"HalfStorage", DType::kF16},
    {"BFloat16Storage", DType::kBF16}, {"LongStorage", DType::kI64},   {"IntStorage", DType::kI32},
    {"ShortStorage", DType::kI16},     {"CharStorage", DType::kI8},    {"ByteStorage", DType::kU8},
    {"BoolStorage", DType::kBool},     {"UntypedStorage", DType::kU8},
};

constexpr NamedType kTypes[] = {
    {"float64", DType::kF64},
    {"double", DType::kF64},
    {"float32", DType::kF32},
    {"float", DType::kF32},
    {"float16", DType::kF16},
    {"half", DType::kF16},
    {"bfloat16", DType::kBF16},
    {"float8_e4m3fn", DType::kF8E4M3},
    {"float8_e5m2", DType::kF8E5M2},
    {"int64", DType::kI64},
    {"int32", DType::kI32},
    {"int16", DType::kI16},
    {"int8", DType::kI8},
    {"uint64", DType::kU64},
    {"uint32", DType::kU32},
    {"uint16", DType::kU16},
    {"uint8", DType::kU8},
    {"bool", DType::kBool},
};

struct Global {
  std::string_view module, name;
};

/// What tensors are made of, and values of other libraries beside them that are skipped.
constexpr Global kAllowed[] = {
    {"torch._utils", "_rebuild_tensor"},
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_tensor_v3"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch._utils", "_rebuild_parameter_with_state"},
    {"torch._tensor", "_rebuild_from_type_v2"},
    {"torch", "Size"},
    {"torch", "Tensor"},
    {"torch", "device"},
    {"torch.nn.parameter", "Parameter"},
    {"torch.nn.modules.container", "ParameterDict"},
    {"torch.serialization", "_get_layout"},
    {"torch", "strided"},
    {"collections", "OrderedDict"},
    {"collections", "defaultdict"},
    {"collections", "Counter"},
    {"numpy", "dtype"},
    {"numpy", "ndarray"},
    {"numpy.core.multiarray", "scalar"},
    {"numpy._core.multiarray", "scalar"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"numpy._core.multiarray", "_reconstruct"},
    {"_codecs", "encode"},
    {"argparse", "Namespace"},
    {"pathlib", "PosixPath"},
    {"pathlib", "WindowsPath"},
    {"datetime", "datetime"},
    {"datetime", "timedelta"},
    {"omegaconf.dictconfig", "DictConfig"},
    {"omegaconf.listconfig", "ListConfig"},
    {"omegaconf.base", "ContainerMetadata"},
    {"omegaconf.base", "Metadata"},
    {"omegaconf.nodes", "AnyNode"},
    {"typing", "Any"},
};

constexpr std::string_view kBuiltins[] = {"bool",  "bytearray", "bytes", "complex", "dict",
                                          "float", "frozenset", "int",   "list",    "object",
                                          "range", "set",       "slice", "str",     "tuple"};

/// Trainers that leave their callbacks in checkpoints.
constexpr std::string_view kTrainers[] = {
    "pytorch_lightning.callbacks.", "lightning.pytorch.callbacks.", "lightning_fabric.utilities."};

template <size_t n>
std::optional<DType> find(const NamedType (&types)[n], std::string_view name) {
  const auto* found = std::find_if(std::begin(types), std::end(types),
                                   [&](const NamedType& t) { return t.name == name; });
  return found == std::end(types) ? std::nullopt : std::optional(found->type);
}

bool is_allowed(std::string_view module, std::string_view name) {
  if (name.find('.') != std::string_view::npos) return false;
  if (storage_dtype(module, name) || torch_dtype(module, name)) return true;
  if (module == "builtins" || module == "__builtin__") {
    return std::find(std::begin(kBuiltins), std::end(kBuiltins), name) != std::end(kBuiltins);
  }
  const bool of_trainer =
      std::any_of(std::begin(kTrainers), std::end(kTrainers),
                  [&](std::string_view prefix) { return module.starts_with(prefix); });
  return of_trainer || std::any_of(std::begin(kAllowed), std::end(kAllowed), [&](const Global& g) {
           return g.module == module && g.name == name;
         });
}

}  // namespace

Status check_torch_global(std::string_view module, std::string_view name) {
  if (is_allowed(module, name)) return {};
  return Error{
      ErrorCode::kUnsupported,
      fmt::format("this file would run code: {}.{}; refused. Use a safetensors form of this "
                  "model",
                  printable(module), printable(name))};
}

std::optional<DType> storage_dtype(std::string_view module, std::string_view name) {
  const bool of_torch = module == "torch" || module == "torch.cuda" || module == "torch.storage";
  return of_torch ? find(kStorages, name) : std::nullopt;
}

std::optional<DType> torch_dtype(std::string_view module, std::string_view name) {
  return module == "torch" ? find(kTypes, name) : std::nullopt;
}

}  // namespace safelight::weights
