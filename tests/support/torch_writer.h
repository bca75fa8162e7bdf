#pragma once

#include <string>

#include "weights/tensor_index.h"

namespace safelight::testing {

/// Little-endian bytes of a number.
template <class T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

/// A file of a zip archive to be written.
struct ZipFile {
  std::string name, data;
  uint16_t method = 0, flags = 0;
  uint32_t size_added = 0, place_added = 0;  ///< lies in the archive's list
};

/// An archive of stored files; its list says `count_added` files more than there are.
inline std::string zip_of(const std::vector<ZipFile>& files, uint16_t count_added = 0) {
  std::string zip, list;
  for (const ZipFile& file : files) {
    const auto at = static_cast<uint32_t>(zip.size());
    const auto size = static_cast<uint32_t>(file.data.size()) + file.size_added;
    // Version, flags, method, time, date, checksum, sizes, lengths of the name and extra field.
    const std::string facts = bytes_of(uint16_t{20}) + bytes_of(file.flags) +
                              bytes_of(file.method) + std::string(8, '\0') + bytes_of(size) +
                              bytes_of(size) + bytes_of(static_cast<uint16_t>(file.name.size())) +
                              std::string(2, '\0');
    zip += "PK\x03\x04" + facts + file.name + file.data;
    list += "PK\x01\x02" + bytes_of(uint16_t{20}) + facts + std::string(10, '\0') +
            bytes_of(at + file.place_added) + file.name;
  }
  const auto count = static_cast<uint16_t>(files.size() + count_added);
  const auto begin = static_cast<uint32_t>(zip.size());
  return zip + list + "PK\x05\x06" + std::string(4, '\0') + bytes_of(count) + bytes_of(count) +
         bytes_of(static_cast<uint32_t>(list.size())) + bytes_of(begin) + std::string(2, '\0');
}

/// A checkpoint as torch.save writes {"state_dict": tensors, "global_step": 7}: F32, F16 and BF16.
inline std::string torch_checkpoint(const weights::TensorIndex& tensors) {
  const auto text = [](const std::string& value) {
    return "X" + bytes_of(static_cast<uint32_t>(value.size())) + value;
  };
  const auto number = [](int64_t value) { return "J" + bytes_of(static_cast<int32_t>(value)); };
  std::string pickle = "\x80\x02}(" + text("state_dict") + "ccollections\nOrderedDict\n)R(";
  std::vector<ZipFile> files(1);
  for (const auto& [name, tensor] : tensors) {
    const std::string key = std::to_string(files.size() - 1);
    const char* storage = tensor.dtype == graph::DType::kF32   ? "FloatStorage"
                          : tensor.dtype == graph::DType::kF16 ? "HalfStorage"
                                                               : "BFloat16Storage";
    std::string sizes, strides;
    int64_t stride = 1;
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      sizes.insert(0, number(*size));
      strides.insert(0, number(stride));
      stride *= *size;
    }
    pickle += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" +
              storage + "\n" + text(key) + text("cpu") + number(tensor.count()) + "tQK" +
              std::string(1, '\0') + "(" + sizes + "t(" + strides +
              "t\x89"
              "ccollections\nOrderedDict\n)RtR";
    files.push_back({"archive/data/" + key,
                     {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()}});
  }
  files[0] = {"archive/data.pkl", pickle + "u" + text("global_step") + "K\x07u."};
  return zip_of(files);
}

}  // namespace safelight::testing
