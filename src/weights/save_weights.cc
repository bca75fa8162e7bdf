#include "weights/save_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "weights/convert.h"
#include "weights/gguf_format.h"
#include "weights/gguf_header.h"
#include "weights/half.h"
#include "weights/messages.h"
#include "weights/quantized.h"
#include "weights/recognise.h"
#include "weights/safetensors.h"

namespace safelight::weights {
namespace {

using graph::DType;

constexpr size_t kPiece = size_t{64} * 1024;  // elements; whole blocks of every type

struct Planned {
  StoredTensor stored;
  const TensorView* source = nullptr;
};

/// Whether the bytes of the source are those to write.
bool is_same(const Planned& planned) {
  return planned.source->dtype == planned.stored.dtype && !planned.source->scales;
}

bool has_type(FileFormat format, DType type) {
  return format == FileFormat::kGguf ? gguf_type_of(type).has_value() : !graph::is_quantized(type);
}

/// What a tensor's elements become.
DType target_of(const TensorView& tensor, const SaveOptions& options) {
  if (!graph::is_floating(tensor.dtype)) return tensor.dtype;
  const bool gguf = options.format == FileFormat::kGguf;
  if (!options.precision) {
    return has_type(options.format, tensor.dtype) && !tensor.scales ? tensor.dtype : DType::kF16;
  }
  if (gguf && tensor.shape.size() <= 1) return DType::kF32;
  if (*options.precision != DType::kQ8_0) return *options.precision;
  const auto block = static_cast<int64_t>(graph::dtype_block(DType::kQ8_0));
  return tensor.shape.back() % block == 0 ? DType::kQ8_0 : DType::kF16;
}

Result<std::vector<Planned>> plan(const TensorIndex& index, const SaveOptions& options) {
  if (options.precision && !has_type(options.format, *options.precision)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("safetensors files have no type {}; a .gguf file has",
                             graph::dtype_name(*options.precision))};
  }
  std::vector<Planned> tensors;
  for (const auto& [name, tensor] : index) {
    const DType target = target_of(tensor, options);
    if (!has_type(options.format, target)) {
      return Error{
          ErrorCode::kInvalidArgument,
          fmt::format("tensor '{}' is of type {}, which GGUF has not; write a .safetensors "
                      "file",
                      printable(name), graph::dtype_name(target))};
    }
    tensors.push_back({{name, target, tensor.shape}, &tensor});
  }
  if (options.format == FileFormat::kSafetensors) {
    // Larger elements first, so that each is aligned.
    std::stable_sort(tensors.begin(), tensors.end(), [](const Planned& a, const Planned& b) {
      return graph::dtype_size(a.stored.dtype) > graph::dtype_size(b.stored.dtype);
    });
  }
  return tensors;
}

/// Writes the tensors of one file.
class Saver {
 public:
  Saver(AtomicFile& file, const SaveOptions& options, uint64_t total)
      : file_(file), options_(options), total_(total), values_(kPiece), bytes_(kPiece * 4) {}

  Status write(const Planned& planned) {
    const int64_t count = planned.source->count();
    for (int64_t first = 0; first < count; first += static_cast<int64_t>(kPiece)) {
      const auto n = std::min(kPiece, static_cast<size_t>(count - first));
      if (Status put = write_piece(planned, first, n); !put) return put;
    }
    planned.source->release_pages();
    if (options_.format != FileFormat::kGguf) return {};
    constexpr std::array<char, kGgufAlignment> kZeros{};
    return file_.write(std::string_view(kZeros.data(), gguf_padding(planned.stored.bytes())));
  }

 private:
  Status write_piece(const Planned& planned, int64_t first, size_t n) {
    const TensorView& source = *planned.source;
    const size_t size = graph::dtype_size(source.dtype), block = graph::dtype_block(source.dtype);
    const Bytes part =
        source.data.subspan(static_cast<size_t>(first) / block * size, n / block * size);
    const Result<Bytes> converted =
        is_same(planned) ? Result<Bytes>(part) : convert(planned, first, n);
    if (!converted) return converted.error();
    if (Status put = file_.write(*converted); !put) return put;
    done_ += part.size();
    return options_.progress ? options_.progress(done_, total_) : Status();
  }

  Result<Bytes> convert(const Planned& planned, int64_t first, size_t n) {
    const DType target = planned.stored.dtype;
    const std::span<float> values(values_.data(), n);
    if (target == DType::kBF16) {
      to_bf16(*planned.source, first, {reinterpret_cast<uint16_t*>(bytes_.data()), n});
      return Bytes(bytes_.data(), n * sizeof(uint16_t));
    }
    to_f32(*planned.source, first, values);
    if (target == DType::kF32) return std::as_bytes(values);
    if (target == DType::kF16) return to_halves(planned, values);
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("tensor '{}' holds NaN or infinite values, which {} cannot hold",
                               printable(planned.stored.name), graph::dtype_name(target))};
    }
    quantize_q8_0(values, bytes_.data());
    return Bytes(bytes_.data(), n / graph::dtype_block(target) * graph::dtype_size(target));
  }

  Result<Bytes> to_halves(const Planned& planned, std::span<const float> values) {
    auto* halves = reinterpret_cast<uint16_t*>(bytes_.data());
    for (size_t i = 0; i < values.size(); ++i) {
      halves[i] = f32_to_f16(values[i]);
      if ((halves[i] & 0x7FFF) == 0x7C00 && std::isfinite(values[i])) {
        return Error{
            ErrorCode::kInvalidArgument,
            fmt::format("tensor '{}' holds {}, more than F16 can (65504); bf16 and f32 can",
                        printable(planned.stored.name), values[i])};
      }
    }
    return Bytes(bytes_.data(), values.size() * sizeof(uint16_t));
  }

  AtomicFile& file_;
  const SaveOptions& options_;
  uint64_t total_, done_ = 0;
  std::vector<float> values_;
  std::vector<std::byte> bytes_;
};

Status write_all(const TensorIndex& index, const std::vector<Planned>& tensors, AtomicFile& file,
                 const SaveOptions& options) {
  std::vector<StoredTensor> stored;
  stored.reserve(tensors.size());
  for (const Planned& planned : tensors) stored.push_back(planned.stored);
  const Result<std::string> header =
      options.format == FileFormat::kGguf
          ? gguf_header(stored, index.metadata, name_of(identify(index).family))
          : safetensors_header(stored, index.metadata);
  if (!header) return header.error();
  if (Status put = file.write(*header); !put) return put;
  Saver saver(file, options, index.total_bytes());
  for (const Planned& planned : tensors) {
    if (Status put = saver.write(planned); !put) return put;
  }
  return file.commit();
}

}  // namespace

Status save_weights(const TensorIndex& index, const std::filesystem::path& path,
                    const SaveOptions& options) {
  const Result<std::vector<Planned>> tensors = plan(index, options);
  if (!tensors) return tensors.error().in(path.string());
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.error();
  Status written = write_all(index, *tensors, *file, options);
  const bool named = !written && written.error().message.starts_with(path.string());
  return written || named ? written : Status(written.error().in(path.string()));
}

}  // namespace safelight::weights
