// Files that torch.save wrote (tools/reference/record_torch_files.py), and pickles and archives
// made by hand.
#include "weights/torch_file.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/torch_writer.h"
#include "unit/weights/support.h"
#include "weights/inspect.h"
#include "weights/open_weights.h"
#include "weights/pickle.h"
#include "weights/safetensors.h"
#include "weights/torch_globals.h"
#include "weights/zip.h"

namespace safelight::weights {
namespace {

using std::string_literals::operator""s;

const std::filesystem::path kData = SAFELIGHT_SOURCE_DIR "/tests/golden/data/torch";

std::string error_of(std::string_view bytes) {
  const auto index = parse_torch(as_bytes(bytes), "m.pt");
  return index ? "" : index.error().message;
}

std::string error_of_file(const std::string& name) {
  const auto index = open_weights(kData / name);
  return index ? "" : index.error().message;
}

/// Every tensor of a recorded file, with its bits, and no others.
void expect_recorded(const std::string& file) {
  const auto expected = open_safetensors(kData / "expected.safetensors");
  ASSERT_TRUE(expected.ok());
  const auto index = open_weights(kData / file);
  ASSERT_TRUE(index.ok()) << index.error().message;
  EXPECT_EQ(index->format, FileFormat::kTorch);
  size_t found = 0;
  for (const auto& [name, want] : *expected) {
    if (!name.starts_with(file + ":")) continue;
    ++found;
    const TensorView* got = index->find(name.substr(file.size() + 1));
    ASSERT_NE(got, nullptr) << name;
    EXPECT_EQ(got->dtype, want.dtype) << name;
    EXPECT_EQ(got->shape, want.shape) << name;
    EXPECT_TRUE(std::equal(got->data.begin(), got->data.end(), want.data.begin(), want.data.end()))
        << name;
  }
  EXPECT_GT(found, 0U) << file;
  EXPECT_EQ(index->size(), found) << file;
}

TEST(TorchFile, EveryTensorEqualsTorchs) {
  for (const char* file :
       {"dtypes.pt", "dtypes_legacy.pt", "layouts.pt", "layouts_legacy.pt", "float8.pt",
        "protocol4.pt", "lightning.ckpt", "lightning_legacy.ckpt", "embedding.pt",
        "older_embedding.pt", "learned_embeds.bin", "upscaler.pth"}) {
    SCOPED_TRACE(file);
    expect_recorded(file);
  }
}

TEST(TorchFile, TextsAndNumbersBesideTheModelAreMetadata) {
  const auto checkpoint = open_weights(kData / "lightning.ckpt");
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_EQ(checkpoint->metadata.at("global_step"), "470000");
  EXPECT_EQ(checkpoint->metadata.at("pytorch-lightning_version"), "1.4.2");
  const auto embedding = inspect(kData / "embedding.pt");
  ASSERT_TRUE(embedding.ok());
  EXPECT_EQ(embedding->kind, FileKind::kEmbedding);
  EXPECT_EQ(embedding->metadata.at("name"), "cat-toy");
  EXPECT_EQ(name_of(embedding->format), "torch");
}

TEST(TorchFile, WhatWouldRunCodeIsRefusedByName) {
  for (const char* file : {"hostile_zip.pt", "hostile_legacy.pt"}) {
    EXPECT_EQ(error_of_file(file), std::string(file) +
                                       ": this file would run code: posix.system; refused. Use a "
                                       "safetensors form of this model");
  }
}

TEST(TorchFile, OtherFilesOfTorchAreNamed) {
  EXPECT_EQ(error_of_file("hypernetwork.pt"),
            "hypernetwork.pt: is a hypernetwork; hypernetworks are not supported. A LoRA does what "
            "they did");
  EXPECT_EQ(error_of_file("torchscript.pt"),
            "torchscript.pt: is a TorchScript program, not a file of weights; refused");
  EXPECT_EQ(error_of("no pickle at all"), "m.pt: is not a file that torch.save wrote");
  EXPECT_EQ(error_of("\x80\x04}q\x00.\0\0\0\0"s),
            "m.pt: is a pickle, but not one that torch wrote; save the model as safetensors");
}

TEST(TorchFile, EveryCutAndEveryFlippedByteGivesOneErrorOrTensorsWithinTheFile) {
  for (const char* name : {"layouts.pt", "layouts_legacy.pt"}) {
    std::string file = *read_file(kData / name);
    for (size_t size = 0; size + 1 < file.size(); size += 7) {
      // A legacy file may end in bytes that no tensor needs.
      const std::string error = error_of(std::string_view(file).substr(0, size));
      EXPECT_TRUE(error.starts_with("m.pt: ")) << name << " " << size << error;
    }
    for (size_t at = 0; at < file.size(); ++at) {
      file[at] = static_cast<char>(file[at] ^ 0x55);
      const auto index = parse_torch(as_bytes(file), "m.pt");
      file[at] = static_cast<char>(file[at] ^ 0x55);
      if (!index) continue;
      for (const auto& [key, tensor] : *index) {
        ASSERT_EQ(tensor.data.size(),
                  static_cast<size_t>(tensor.count()) * graph::dtype_size(tensor.dtype));
      }
    }
  }
}

// --- pickles ---

std::string pickle_error(std::string_view bytes) {
  const auto pickle = read_pickle(as_bytes(bytes), check_torch_global);
  return pickle ? "" : pickle.error().message;
}

TEST(Pickle, GlobalsOutsideTheListAreRefused) {
  const std::string refused = "this file would run code: ";
  for (const auto& [bytes, name] : std::vector<std::pair<std::string, std::string>>{
           {"cos\nsystem\n(S'id'\ntR.", "os.system"},
           {"\x80\x04\x8c\x08"
            "builtins\x8c\x04"
            "eval\x93.",
            "builtins.eval"},
           {"c__builtin__\ngetattr\n.", "__builtin__.getattr"},
           {"cpytorch_lightning.callbacks.x\nos.system\n.",
            "pytorch_lightning.callbacks.x.os.system"},
           {"ctorch\nload\n.", "torch.load"},
           {"ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes"},
           {"cnumpy\nload\n.", "numpy.load"}}) {
    EXPECT_TRUE(pickle_error(bytes).starts_with(refused + name + ";")) << pickle_error(bytes);
  }
}

TEST(Pickle, OpcodesThatNeedAProgramAreRefused) {
  for (const std::string bytes :
       {"(S'id'\nios\nsystem\n.", "(cos\n", "\x82\x01.", "\x97.", "(cbuiltins\nint\no."}) {
    EXPECT_NE(pickle_error(bytes), "") << bytes;
  }
  EXPECT_EQ(pickle_error("\x82\x01."),
            "its pickle uses opcode 0x82 at byte 0, which torch does not write; refused");
}

TEST(Pickle, DamageIsFound) {
  const std::string needs[][2] = {
      {"", "its pickle is cut short or damaged at byte 0; download it again"},
      {"X\x05\0\0\0abc"s, "its pickle is cut short or damaged at byte 0; download it again"},
      {".", "its pickle takes more values than there are at byte 0"},
      {"N(.", "its pickle takes more values than there are at byte 2"},
      {"}K\x01s.", "its pickle uses a value that is missing at byte 3"},
      {"}(K\x01u.", "its pickle has a key without a value at byte 4"},
      {"h\x07.", "its pickle recalls a value that it did not keep at byte 0"},
      {"t.", "its pickle ends a group that did not begin at byte 0"},
      {"Na.", "its pickle uses a value that is missing at byte 1"},
      {"NNa.", "its pickle adds to what is no container at byte 2"},
      {"N)R.", "its pickle calls what is no name at byte 2"},
      {"\x80\x09N.", "its pickle has protocol 9; 0 to 5 are known at byte 0"},
  };
  for (const auto& [bytes, error] : needs) EXPECT_EQ(pickle_error(bytes), error);
}

TEST(Pickle, ValuesAreRead) {
  // What is read is a view of the bytes.
  const std::string bytes(
      "\x80\x02(K\x05J\xfe\xff\xff\xffM\x01\x02\x8a\x02\x00\xff"
      "G\x3f\xf8\0\0\0\0\0\0\x88NX\x02\0\0\0hiI7\nt."s);
  const auto pickle = read_pickle(as_bytes(bytes), check_torch_global);
  ASSERT_TRUE(pickle.ok()) << pickle.error().message;
  const auto& items = (*pickle)[pickle->root].items;
  ASSERT_EQ(items.size(), 9U);
  const auto number = [&](size_t i) { return (*pickle)[items[i]].integer; };
  EXPECT_EQ(number(0), 5);
  EXPECT_EQ(number(1), -2);
  EXPECT_EQ(number(2), 513);
  EXPECT_EQ(number(3), -256);
  EXPECT_EQ((*pickle)[items[4]].real, 1.5);
  EXPECT_EQ(number(5), 1);
  EXPECT_EQ((*pickle)[items[6]].kind, Pickle::Kind::kNone);
  EXPECT_EQ((*pickle)[items[7]].text, "hi");
  EXPECT_EQ(number(8), 7);
}

/// A list that holds itself, doubled containers, endless marks: bounded work and one error.
TEST(Pickle, CyclesAndBombsAreBounded) {
  EXPECT_EQ(pickle_error("]q\x00h\x00"
                         "a."s),
            "");
  std::string bomb = "]q\x00"s;
  for (int i = 0; i < 2'000'000; ++i) bomb += "N0";
  EXPECT_EQ(pickle_error(bomb + "."), "its pickle has more than 1000000 values");
  // One list of 3000 pairs, given to a thousand dictionaries.
  std::string laughs = "\x80\x02](";
  for (int i = 0; i < 3000; ++i) laughs += "NN\x86";
  laughs +=
      "eq\x01"
      "0ccollections\nOrderedDict\nq\x02"
      "0(";
  for (int i = 0; i < 5000; ++i) laughs += "h\x02h\x01\x85R";
  EXPECT_EQ(pickle_error(laughs + "t."), "its pickle has more than 1000000 values");
  EXPECT_EQ(pickle_error(std::string(1'000'001, '(')),
            "its pickle nests too deeply at byte 1000000");
}

// --- archives ---

using ::safelight::testing::zip_of;
using ::safelight::testing::ZipFile;

std::string zip_error(const std::string& bytes) {
  const auto entries = read_zip_directory(as_bytes(bytes));
  return entries ? "" : entries.error().message;
}

TEST(Zip, StoredFilesAreFound) {
  const std::string zip = zip_of({{"a/b", "hello"}, {"c/", ""}, {"d", ""}});
  const auto entries = read_zip_directory(as_bytes(zip));
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ(entries->at("a/b").data.size(), 5U);
  EXPECT_EQ(std::to_integer<char>(entries->at("a/b").data[4]), 'o');
  EXPECT_TRUE(entries->at("d").data.empty());
}

TEST(Zip, WhatCannotBeRightIsRefused) {
  EXPECT_NE(zip_error("PK\x03\x04 and no more").find("has no end"), std::string::npos);
  EXPECT_NE(zip_error(zip_of({{"a", "x"}}, 9)).find("places a list of 10 files"),
            std::string::npos);
  EXPECT_NE(zip_error(zip_of({{"a", "x", 0, 0, 1U << 30}})).find("more than are left"),
            std::string::npos);
  EXPECT_NE(zip_error(zip_of({{"a", "x", 0, 0, 0, 5}})).find("is not where the archive says"),
            std::string::npos);
  EXPECT_NE(zip_error(zip_of({{"a", "x"}, {"a", "y"}})).find("twice"), std::string::npos);
}

TEST(Zip, NothingIsUnpacked) {
  for (const ZipFile& packed :
       {ZipFile{"m/data.pkl", "x", 8, 0, 1U << 30}, ZipFile{"m/data.pkl", "x", 0, 1}}) {
    EXPECT_EQ(error_of(zip_of({packed})),
              "m.pt: file 'data.pkl' of its archive is compressed or encrypted; torch stores files "
              "plainly: save the model anew with torch.save");
  }
  EXPECT_NE(error_of(zip_of({{"m/data.pkl", "}."}, {"m/data/0", "x", 8}}))
                .find("file 'm/data/0' of its archive is compressed"),
            std::string::npos);
}

TEST(Zip, ArchivesOfOthersAreNoModels) {
  EXPECT_EQ(error_of(zip_of({{"weights.npy", "12345678"}})),
            "m.pt: is a zip archive, but not one that torch wrote; unpack it first");
}

/// Tensors whose pickles promise more than there is.
TEST(TorchFile, StoragesBoundEveryTensor) {
  const auto file = [](const std::string& size, const std::string& strides,
                       const std::string& first = "K\x00"s) {
    // {'x': _rebuild_tensor_v2(persistent ('storage', FloatStorage, '0', 'cpu', 2), first, size,
    // strides, False, {})}
    const std::string pickle =
        "\x80\x02}U\x01xctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n"
        "U\x01"
        "0U\x03"
        "cpuK\x02tQ" +
        first + size + strides + "\x89}tRs.";
    return zip_of({{"m/data.pkl", pickle}, {"m/data/0", "12345678"}});
  };
  EXPECT_EQ(error_of(file("K\x02\x85", "K\x01\x85")), "");
  EXPECT_EQ(error_of(file("K\x01\x85", "J\xff\xff\xff\x7f\x85")), "");
  for (const auto& bytes : {file("K\x03\x85", "K\x01\x85"), file("K\x02\x85", "K\x02\x85"),
                            file("K\x01\x85", "K\x01\x85", "K\x02"),
                            file("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"s,
                                 "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"s),
                            file("(\x8a\x05\0\0\0\0\x01\x8a\x05\0\0\0\0\x01t"s, "(K\x00K\x00t"s)}) {
    EXPECT_NE(error_of(bytes).find("goes past the 2 elements of its storage '0'"),
              std::string::npos)
        << error_of(bytes);
  }
  // Expanded: no element is new.
  EXPECT_EQ(error_of(file("J\xff\xff\xff\x7f\x85", "K\x00\x85"s)),
            "m.pt: tensor 'x' of shape [2147483647] repeats more elements than the file has bytes");
  EXPECT_NE(error_of(file("J\xff\xff\xff\xff\x85", "K\x01\x85")).find("no shape"),
            std::string::npos);
}

}  // namespace
}  // namespace safelight::weights
