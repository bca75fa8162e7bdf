#include "weights/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "unit/weights/support.h"

namespace safelight::weights {
namespace {

using graph::DType;
using std::string_literals::operator""s;

TEST(Safetensors, ReadsTensorsMetadataAndScalars) {
  const std::string file = file_bytes(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I16","shape":[2,3],"data_offsets":[4,16]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  )",
      16);
  const auto index = parse_safetensors(as_bytes(file), "m.safetensors");
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->size(), 2u);
  EXPECT_EQ(index->begin()->first, "a");
  EXPECT_EQ(index->find("a")->count(), 1);
  EXPECT_EQ(index->find("b")->dtype, DType::kI16);
  EXPECT_EQ(index->find("b")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(index->find("b")->data.data(), as_bytes(file).data() + file.size() - 12);
  EXPECT_EQ(index->find("c"), nullptr);
  EXPECT_EQ(index->metadata.at("format"), "pt");
  EXPECT_EQ(index->source_file("b"), "m.safetensors");
  EXPECT_EQ(index->total_bytes(), 16u);
  EXPECT_EQ(index->predominant_dtype(), DType::kI16);
}

TEST(Safetensors, ReadsEmptyTensorsBetweenOthersAndAnEmptyModel) {
  const std::string file =
      file_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                 R"("none":{"dtype":"F32","shape":[0,9],"data_offsets":[4,4]},)"
                 R"("y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                 8);
  const auto index = parse_safetensors(as_bytes(file), "m");
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->find("none")->count(), 0);
  const auto nothing = parse_safetensors(as_bytes(file_bytes("{}")), "m");
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->predominant_dtype());
}

TEST(Safetensors, ReadsEveryDType) {
  for (const char* name : {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "I16",
                           "I8", "U64", "U32", "U16", "U8", "BOOL"}) {
    const size_t size = graph::dtype_size(*graph::dtype_from_name(name));
    const std::string header = std::string(R"({"x":{"dtype":")") + name +
                               R"(","shape":[3],"data_offsets":[0,)" + std::to_string(3 * size) +
                               "]}}";
    const auto index = parse_safetensors(as_bytes(file_bytes(header, 3 * size)), "m");
    ASSERT_TRUE(index) << name << ": " << index.error().message;
    EXPECT_EQ(graph::dtype_name(index->find("x")->dtype), name);
  }
}

/// A file that must be refused, and the message, which follows "bad.safetensors: ".
struct HostileCase {
  const char* what;
  std::string file;
  std::string message;
  ErrorCode code = ErrorCode::kCorruptFile;
};

/// One tensor 'x' with the given fields, before `data_size` bytes.
std::string one_tensor(std::string_view dtype, std::string_view shape, std::string_view offsets,
                       size_t data_size) {
  return file_bytes(std::string(R"({"x":{"dtype":)")
                        .append(dtype)
                        .append(R"(,"shape":)")
                        .append(shape)
                        .append(R"(,"data_offsets":)")
                        .append(offsets)
                        .append("}}"),
                    data_size);
}

std::string two_tensors(std::string_view first, std::string_view second, size_t data_size) {
  return file_bytes(std::string(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":)")
                        .append(first)
                        .append(R"(},"y":{"dtype":"U8","shape":[4],"data_offsets":)")
                        .append(second)
                        .append("}}"),
                    data_size);
}

const char* const kNeedsSize = "; a whole number from 0 to 2^63 - 1 is needed";
const char* const kNeedsOffsets =
    "tensor 'x' has no data_offsets; a list of two whole numbers is needed";
const char* const kPickle =
    "is a torch pickle (.ckpt, .pt, .bin) where a safetensors file is needed";
const char* const kWebPage = "looks like a web page, not a model: download the file itself";

std::vector<HostileCase> hostile_containers() {
  return {
      {"empty", "", "is empty (0 bytes); download it again"},
      {"too short", "abc",
       "has 3 bytes, less than the 8 of a header's length: not a safetensors file"},
      {"length past the end", "\x40\0\0\0\0\0\0\0{}"s,
       "header length 64 goes past the end of the file (10 bytes): it is cut short; download it "
       "again"},
      {"length over the limit", "\x01\xE1\xF5\x05\0\0\0\0{}"s,
       "header length 100000001 is more than 100000000: not a safetensors file"},
      {"length near 2^64", std::string(8, '\xFF') + "{}",
       "header length 18446744073709551615 is more than 100000000: not a safetensors file"},
      {"zero length", file_bytes(""), "header is no JSON object: not a safetensors file"},
      {"list", file_bytes("[]"), "header is no JSON object: not a safetensors file"},
      {"leading space", file_bytes(" {}"), "header is no JSON object: not a safetensors file"},
      {"not JSON", file_bytes("{\"x\":}"), "header: bad JSON at byte"},
      {"cut JSON", file_bytes("{\"x\":{"), "header: bad JSON at byte"},
      {"two documents", file_bytes("{}{}"), "header: bad JSON at byte 2: text after the document"},
      {"not UTF-8", file_bytes("{\"\xFF\":1}"), "header: bad JSON at byte"},
      {"nested", file_bytes("{\"x\":" + std::string(5000, '[') + std::string(5000, ']') + "}"),
       "header: bad JSON at byte"},
      {"millions of values", file_bytes("{\"x\":[" + std::string(2'000'001, ',') + "]}"),
       "header has 2000001 commas; at most 2000000 are read: no model has so many tensors"},
      {"duplicate", file_bytes(R"({"x":1,"x":2})"),
       "header: JSON has the key 'x' twice in one object"},
      {"escaped duplicate", file_bytes(R"({"x":1,"\u0078":2})"),
       "header: JSON has the key 'x' twice in one object"},
      {"metadata list", file_bytes(R"({"__metadata__":[]})"),
       "__metadata__ is no JSON object of texts"},
      {"metadata number", file_bytes(R"({"__metadata__":{"a":1}})"),
       "__metadata__ has a value that is no text, under 'a'"},
      {"trailing bytes", file_bytes("{}", 3), "3 bytes after the last tensor belong to none"},
  };
}

std::vector<HostileCase> hostile_entries() {
  const std::string no_dtype = "tensor 'x' has no dtype; a text such as \"F16\" is needed";
  return {
      {"no object", file_bytes(R"({"x":3})"),
       "tensor 'x' is no JSON object with dtype, shape and data_offsets"},
      {"no dtype", file_bytes(R"({"x":{}})"), no_dtype},
      {"dtype a number", one_tensor("7", "[1]", "[0,1]", 1), no_dtype},
      {"F4", one_tensor("\"F4\"", "[2]", "[0,1]", 1),
       "tensor 'x' has dtype 'F4', which is not supported; F64, F32, F16, BF16, F8_E4M3, F8_E5M2, "
       "I8 to I64, U8 to U64 and BOOL are",
       ErrorCode::kUnsupported},
      {"F8_E8M0", one_tensor("\"F8_E8M0\"", "[1]", "[0,1]", 1),
       "tensor 'x' has dtype 'F8_E8M0', which is not supported", ErrorCode::kUnsupported},
      {"no shape", file_bytes(R"({"x":{"dtype":"U8"}})"),
       "tensor 'x' has no shape; a list of sizes is needed"},
      {"shape a number", one_tensor("\"U8\"", "1", "[0,1]", 1),
       "tensor 'x' has no shape; a list of sizes is needed"},
      {"rank", one_tensor("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]", 1),
       "tensor 'x' has 9 dimensions; at most 8 are supported"},
      {"negative", one_tensor("\"U8\"", "[-1]", "[0,1]", 1),
       std::string("tensor 'x' has dimension -1") + kNeedsSize},
      {"2^63", one_tensor("\"U8\"", "[9223372036854775808]", "[0,1]", 1),
       std::string("tensor 'x' has dimension 9223372036854775808") + kNeedsSize},
      {"2^64", one_tensor("\"U8\"", "[18446744073709551616]", "[0,1]", 1),
       "tensor 'x' has dimension 1.8446744073709552E19"},
      {"fraction", one_tensor("\"U8\"", "[1.5]", "[0,1]", 1), "tensor 'x' has dimension 1.5E0"},
      {"text dimension", one_tensor("\"U8\"", "[\"1\"]", "[0,1]", 1),
       std::string("tensor 'x' has dimension \"1\"") + kNeedsSize},
      {"product overflow", one_tensor("\"U8\"", "[4294967296,4294967296]", "[0,1]", 1),
       "tensor 'x' has shape [4294967296, 4294967296], more bytes than 2^63 - 1"},
      {"size overflow", one_tensor("\"F64\"", "[1152921504606846976]", "[0,0]", 0),
       "tensor 'x' has shape [1152921504606846976], more bytes than 2^63 - 1"},
      {"overflow beside zero", one_tensor("\"U8\"", "[4294967296,4294967296,0]", "[0,0]", 0),
       "tensor 'x' has shape [4294967296, 4294967296, 0], more bytes than 2^63 - 1"},
  };
}

std::vector<HostileCase> hostile_offsets() {
  return {
      {"no offsets", file_bytes(R"({"x":{"dtype":"U8","shape":[1]}})"), kNeedsOffsets},
      {"one offset", one_tensor("\"U8\"", "[1]", "[0]", 1), kNeedsOffsets},
      {"three offsets", one_tensor("\"U8\"", "[1]", "[0,1,2]", 1), kNeedsOffsets},
      {"negative offset", one_tensor("\"U8\"", "[1]", "[-1,0]", 1), kNeedsOffsets},
      {"2^63 offset", one_tensor("\"U8\"", "[1]", "[0,9223372036854775808]", 1), kNeedsOffsets},
      {"text offset", one_tensor("\"U8\"", "[1]", "[0,\"1\"]", 1), kNeedsOffsets},
      {"begin after end", one_tensor("\"U8\"", "[1]", "[2,1]", 4),
       "tensor 'x' begins at byte 2 after its end at 1"},
      {"past the end", one_tensor("\"U8\"", "[4]", "[0,4]", 3),
       "tensor 'x' ends at byte 4 of the data, but the file holds just 3: it is cut short; "
       "download it again"},
      {"offset 2^63-1", one_tensor("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]", 3),
       "tensor 'x' ends at byte 9223372036854775807 of the data, but the file holds just 3"},
      {"size mismatch", one_tensor("\"F16\"", "[2,2]", "[0,7]", 7),
       "tensor 'x' has 7 bytes; F16 of shape [2, 2] needs 8"},
      {"same place", two_tensors("[0,4]", "[0,4]", 4),
       "tensor 'y' overlaps tensor 'x': it begins at byte 0, that one ends at 4"},
      {"overlap", two_tensors("[2,6]", "[0,4]", 6),
       "tensor 'x' overlaps tensor 'y': it begins at byte 2, that one ends at 4"},
      {"hole", two_tensors("[0,4]", "[6,10]", 10),
       "tensor 'y' begins at byte 6 and leaves a hole of 2 bytes"},
      {"hole in front", one_tensor("\"U8\"", "[4]", "[1,5]", 5),
       "tensor 'x' begins at byte 1 and leaves a hole of 1 bytes"},
      {"trailing", one_tensor("\"U8\"", "[4]", "[0,4]", 9),
       "5 bytes after the last tensor belong to none"},
      {"control characters", file_bytes("{\"a\\u001b[31m\":1}"),
       "tensor 'a?[31m' is no JSON object with dtype, shape and data_offsets"},
      {"long name", file_bytes("{\"" + std::string(100'000, 'n') + "\":1}"),
       "tensor '" + std::string(120, 'n') + "...' is no JSON object"},
  };
}

std::vector<HostileCase> foreign_files() {
  return {
      {"GGUF", "GGUF\x03\0\0\0\0\0\0\0"s, "is a GGUF file where a safetensors file is needed",
       ErrorCode::kUnsupported},
      {"torch zip", "PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl"s, kPickle,
       ErrorCode::kUnsupported},
      {"torch pickle", "\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50"s, kPickle,
       ErrorCode::kUnsupported},
      {"LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n",
       "is a Git LFS pointer, not the model itself: download the file itself (git lfs pull)"},
      {"web page", "\xEF\xBB\xBF\r\n <!DOCTYPE html><html></html>", kWebPage},
      {"web page without doctype", "<HTML><body>Sign in</body></HTML>", kWebPage},
      {"JSON", "{\"error\": \"Invalid username\"}",
       "is JSON text, not a model: give the .safetensors file, its .safetensors.index.json or the "
       "folder of model_index.json"},
      {"short JSON", "{}", "is JSON text, not a model"},
      {"noise", "random text that is no model at all",
       "header length 8367808432848134514 is more than 100000000: not a safetensors file"},
  };
}

TEST(Safetensors, RefusesEachHostileFileWithOneClearError) {
  for (const auto& table :
       {hostile_containers(), hostile_entries(), hostile_offsets(), foreign_files()}) {
    for (const HostileCase& hostile : table) {
      const auto index = parse_safetensors(as_bytes(hostile.file), "bad.safetensors");
      ASSERT_FALSE(index) << hostile.what;
      EXPECT_EQ(index.error().code, hostile.code) << hostile.what;
      const std::string want = "bad.safetensors: " + hostile.message;
      EXPECT_EQ(index.error().message.substr(0, want.size()), want) << hostile.what;
      EXPECT_EQ(index.error().message.find('\n'), std::string::npos) << hostile.what;
    }
  }
}

TEST(Safetensors, RefusesEveryTruncationOfAGoodFile) {
  const std::string file = two_tensors("[0,4]", "[4,8]", 8);
  ASSERT_TRUE(parse_safetensors(as_bytes(file), "m"));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse_safetensors(as_bytes(file).first(size), "m")) << size;
  }
}

TEST(Safetensors, SurvivesEveryFlippedBit) {
  const std::string good = two_tensors("[0,4]", "[4,8]", 8);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string file = good;
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ (1 << (bit % 8)));
    const auto index = parse_safetensors(as_bytes(file), "m");
    if (!index) continue;
    for (const auto& [name, tensor] : *index) {
      EXPECT_EQ(tensor.data.size(),
                static_cast<size_t>(tensor.count()) * graph::dtype_size(tensor.dtype));
    }
  }
}

TEST(OpenSafetensors, NamesMissingFilesFoldersAndTheFileInMessages) {
  const TemporaryFolder folder;
  const auto missing = open_safetensors(folder / "none.safetensors");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  const auto is_folder = open_safetensors(folder.path());
  ASSERT_FALSE(is_folder);
  EXPECT_EQ(is_folder.error().message,
            folder.path().string() + ": is a folder; a .safetensors file is needed");
  write_text(folder / "empty.safetensors", "");
  const auto empty = open_safetensors(folder / "empty.safetensors");
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().message, "empty.safetensors: is empty (0 bytes); download it again");
}

TEST(OpenSafetensors, ViewsOutliveIndexAndFileName) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "a.safetensors", {{"x", view_of(Tensor({2}, {1, 2}))}}));
  TensorView view;
  {
    const auto index = open_safetensors(folder / "a.safetensors");
    ASSERT_TRUE(index);
    view = *index->find("x");
  }
  std::filesystem::remove(folder / "a.safetensors");
  float second = 0;
  std::memcpy(&second, view.data.data() + 4, 4);
  EXPECT_EQ(second, 2.0f);
}

TEST(WriteSafetensors, RoundTripsAndAligns) {
  const TemporaryFolder folder;
  static constexpr uint8_t kOdd[3] = {1, 2, 3};
  const TensorIndex::Map tensors = {
      {"a.odd", {DType::kU8, {3}, std::as_bytes(std::span(kOdd)), nullptr}},
      {"b \"quoted\" é", view_of(Tensor({2, 1}, {0.5f, -2.0f}))},
      {"c.empty", {DType::kF64, {0, 4}, {}, nullptr}}};
  ASSERT_TRUE(write_safetensors(folder / "sub/a.safetensors", tensors, {{"title", "line\n2"}}));
  const auto index = open_safetensors(folder / "sub/a.safetensors");
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->metadata.at("title"), "line\n2");
  ASSERT_EQ(index->size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const TensorView* got = index->find(name);
    ASSERT_NE(got, nullptr) << name;
    EXPECT_EQ(got->dtype, tensor.dtype);
    EXPECT_EQ(got->shape, tensor.shape);
    EXPECT_TRUE(
        std::equal(got->data.begin(), got->data.end(), tensor.data.begin(), tensor.data.end()));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(got->data.data()) % graph::dtype_size(got->dtype), 0u);
  }
}

TEST(WriteSafetensors, RefusesTheReservedName) {
  const TemporaryFolder folder;
  const Status status =
      write_safetensors(folder / "a.safetensors", {{"__metadata__", view_of(Tensor({1}))}});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.safetensors"));
}

TEST(TensorIndex, RefusesANameTwiceAndNamesBothFiles) {
  TensorIndex index;
  ASSERT_TRUE(index.add("x", shape_only({1}), "one.safetensors"));
  const Status again = index.add("x", shape_only({1}), "two.safetensors");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message,
            "two.safetensors: tensor 'x' is there already, from one.safetensors; names must be "
            "unique");
}

}  // namespace
}  // namespace safelight::weights
